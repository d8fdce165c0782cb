// SPDX-License-Identifier: GPL-2.0
//! Signals that end a long run in order: it is done with what it has at hand, saves what it knows, and
//! then the signal has its way.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_default};
use signal_hook::low_level::emulate_default_handler;

/// What a signal does from now on.
pub(crate) struct Interrupt {
    stop: Arc<AtomicBool>,
    terminated: Arc<AtomicBool>,
}

impl Interrupt {
    /// SIGINT and SIGTERM set `stop`. Who is in a hurry gives SIGINT again.
    pub(crate) fn sets(stop: &Arc<AtomicBool>) -> io::Result<Self> {
        let terminated = Arc::default();
        // What finds it set ends the process, so it comes before what sets it.
        register_conditional_default(SIGINT, Arc::clone(stop))?;
        register(SIGTERM, Arc::clone(&terminated))?;
        for signal in [SIGINT, SIGTERM] {
            register(signal, Arc::clone(stop))?;
        }
        Ok(Self {
            stop: Arc::clone(stop),
            terminated,
        })
    }

    /// Ends the process as the signal would have that came; does nothing if none did.
    pub(crate) fn end(&self) -> io::Result<()> {
        if !self.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        emulate_default_handler(match self.terminated.load(Ordering::Relaxed) {
            true => SIGTERM,
            false => SIGINT,
        })
    }
}
