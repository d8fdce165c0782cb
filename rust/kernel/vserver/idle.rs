// SPDX-License-Identifier: GPL-2.0

//! A context's claim to idle time.
//!
//! C source: [`security/vserver/idle.c`](srctree/security/vserver/idle.c)

use super::{Context, Operations};
use crate::bindings;

/// What a nanosecond costs if it costs one: how much smaller a claim is the greater its price.
pub const PRICE_ONE: u64 = 1 << bindings::VSERVER_IDLE_PRICE_SHIFT;

/// Keeps the hooks on that idle time needs, for somebody who may have a claim to it. To make and to
/// drop one may sleep.
///
/// # Invariants
///
/// Each stands for one `vserver_idle_get`.
pub struct Hooks(());

impl Hooks {
    /// Turns them on.
    pub fn on() -> Self {
        // SAFETY: Always safe to call.
        unsafe { bindings::vserver_idle_get() };
        // INVARIANT: Called just now.
        Self(())
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        // SAFETY: By the type invariants this undoes a `vserver_idle_get`.
        unsafe { bindings::vserver_idle_put() };
    }
}

impl<T: Operations> Context<T> {
    /// Says what a nanosecond of idle time costs it, in parts of [`PRICE_ONE`]: of two that want
    /// all they can get, who pays half as much gets twice as much. 0: it gets none.
    pub fn set_idle_price(&self, price: u32) {
        // SAFETY: By the type invariants `base` is initialised.
        unsafe { bindings::vserver_idle_set(self.base.get(), price) };
    }
}
