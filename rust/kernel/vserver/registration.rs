// SPDX-License-Identifier: GPL-2.0

//! The module's operations, where the built-in part finds them.
//!
//! C source: [`security/vserver/ops.c`](srctree/security/vserver/ops.c)

use super::{space::Name, Context, Exit, Operations};
use crate::{
    bindings, container_of,
    error::{from_result, to_result},
    ffi::{c_char, c_int, c_long, c_void},
    prelude::*,
    sync::aref::ARef,
    types::Opaque,
    uaccess::UserPtr,
    vfs::Path,
    ThisModule,
};
use core::{ops::Deref, ptr::NonNull};

/// The registered operations; dropping it turns the hooks off. Derefs to the module's data.
///
/// # Invariants
///
/// `ops` is registered, its functions are those of this `T`, and it is embedded in a pinned
/// `Registration<T>`. One module is registered at a time and contexts keep it so: every context
/// there is was made by this registration.
#[pin_data(PinnedDrop)]
pub struct Registration<T: Operations> {
    #[pin]
    pub(super) ops: Opaque<bindings::vserver_ops>,
    #[pin]
    data: T,
}

// SAFETY: `ops` is constant, `T` is `Send`.
unsafe impl<T: Operations> Send for Registration<T> {}
// SAFETY: `ops` is constant, `T` is `Sync`.
unsafe impl<T: Operations> Sync for Registration<T> {}

impl<T: Operations> Deref for Registration<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.data
    }
}

impl<T: Operations> Registration<T> {
    /// Registers `module`'s operations. May sleep.
    ///
    /// # Errors
    ///
    /// `EBUSY`: another module is registered. `EOPNOTSUPP`: the kernel was booted without the
    /// vserver security module.
    pub fn new<E>(
        module: &'static ThisModule,
        data: impl PinInit<T, E>,
    ) -> impl PinInit<Self, Error>
    where
        Error: From<E>,
    {
        let table = bindings::vserver_ops {
            owner: module.as_ptr(),
            syscall: Some(Self::syscall),
            break_link: Some(Self::break_link),
            may_break: Some(Self::may_break),
            charge: Some(Self::charge),
            hold: Some(Self::hold),
            reboot: Some(Self::reboot),
            task_exit: Some(Self::task_exit),
            uts_name: Some(Self::uts_name),
            ctx_end: Some(Self::ctx_end),
            ctx_free: Some(Self::ctx_free),
        };
        // INVARIANT: `data` is initialised when the operations are registered, last.
        try_pin_init!(Self {
            data <- data,
            ops <- Opaque::try_ffi_init(move |slot: *mut bindings::vserver_ops| {
                // SAFETY: `slot` is memory for it, pinned until `drop` unregisters it.
                unsafe { slot.write(table) };
                // SAFETY: As above.
                to_result(unsafe { bindings::vserver_register(slot) })
            }),
        }? Error)
    }

    /// The caller's context.
    pub fn current(&self) -> Option<ARef<Context<T>>> {
        // SAFETY: Always safe to call.
        let base = unsafe { bindings::vserver_current_ctx() };
        // SAFETY: By the type invariants it is a `Context<T>`; the caller's own reference keeps
        // it meanwhile. CAST: `base` is first in a `repr(C)` structure.
        NonNull::new(base.cast::<Context<T>>()).map(|ctx| unsafe { ctx.as_ref() }.into())
    }

    /// # Safety
    ///
    /// `ops` is the one of a `Registration<T>` that lives at least for `'a`.
    unsafe fn from_ops<'a>(ops: *const bindings::vserver_ops) -> &'a Self {
        // CAST: `Opaque` is transparent.
        let ops = ops.cast::<Opaque<bindings::vserver_ops>>();
        // SAFETY: By the caller's promise.
        unsafe { &*container_of!(ops, Self, ops) }
    }

    /// # Safety
    ///
    /// `ctx` is alive for `'a`.
    unsafe fn context<'a>(ctx: *mut bindings::vserver_ctx) -> &'a Context<T> {
        // SAFETY: By the type invariants every context is a `Context<T>`, alive by the caller's
        // promise. CAST: `base` is first in a `repr(C)` structure.
        unsafe { &*ctx.cast() }
    }

    unsafe extern "C" fn syscall(
        ops: *const bindings::vserver_ops,
        cmd: u32,
        id: u32,
        data: *mut c_void,
    ) -> c_long {
        // SAFETY: Called with the registered operations; the module is pinned for the call.
        let reg = unsafe { Self::from_ops(ops) };
        match T::syscall(reg, cmd, id, UserPtr::from_ptr(data)) {
            Ok(value) => value as c_long,
            Err(e) => e.to_errno() as c_long,
        }
    }

    unsafe extern "C" fn break_link(
        ops: *const bindings::vserver_ops,
        path: *mut bindings::path,
        keep: bindings::loff_t,
    ) -> c_int {
        // SAFETY: Called with the registered operations; the module is pinned for the call.
        let reg = unsafe { Self::from_ops(ops) };
        // SAFETY: The caller owns `path` and its references, and lends them for the call.
        let path = unsafe { Path::from_raw_mut(path) };
        from_result(|| T::break_link(reg, path, keep).map(|()| 0))
    }

    unsafe extern "C" fn may_break(path: *const bindings::path) -> c_int {
        // SAFETY: The caller owns `path` and its references, and lends them for the call.
        let path = unsafe { Path::from_raw(path) };
        from_result(|| T::may_break(path).map(|()| 0))
    }

    unsafe extern "C" fn charge(ctx: *mut bindings::vserver_ctx, ns: u64) -> i64 {
        // SAFETY: The task's reference keeps the context, or the grace period before it is freed.
        let left = T::charge(unsafe { Self::context(ctx) }, ns);
        left.map_or(-1, |ns| i64::try_from(ns).unwrap_or(i64::MAX))
    }

    unsafe extern "C" fn hold(
        ctx: *mut bindings::vserver_ctx,
        again: bool,
        wait: *mut bindings::vserver_wait,
    ) -> bool {
        // SAFETY: The caller's reference keeps the context.
        T::hold(unsafe { Self::context(ctx) }, again, || {
            // SAFETY: `wait` is valid for the call, and the caller's alone to end.
            unsafe { bindings::vserver_wait_ended(wait) }
        })
    }

    unsafe extern "C" fn reboot(ctx: *mut bindings::vserver_ctx, cmd: u32) -> c_int {
        // SAFETY: The caller's reference keeps the context.
        let ctx = unsafe { Self::context(ctx) };
        from_result(|| T::reboot(ctx, cmd).map(|()| 0))
    }

    unsafe extern "C" fn task_exit(
        ctx: *mut bindings::vserver_ctx,
        tgid: bindings::pid_t,
        group_dead: bool,
        code: c_int,
        last: bool,
    ) {
        // SAFETY: The exiting task's reference keeps the context, and that the module.
        let ctx = unsafe { Self::context(ctx) };
        // SAFETY: As above; `base.ops` is constant.
        let reg = unsafe { Self::from_ops((*ctx.base.get()).ops) };
        T::task_exit(
            reg,
            ctx,
            Exit {
                tgid,
                group_dead,
                code,
                last,
            },
        );
    }

    unsafe extern "C" fn uts_name(
        ctx: *mut bindings::vserver_ctx,
        field: u32,
        name: *mut c_char,
    ) -> bool {
        // SAFETY: The caller's reference keeps the context.
        let Some(found) = T::uts_name(unsafe { Self::context(ctx) }, field) else {
            return false;
        };
        // SAFETY: `name` has room for a whole name.
        unsafe { name.cast::<Name>().write(found) };
        true
    }

    unsafe extern "C" fn ctx_end(ctx: *mut bindings::vserver_ctx) {
        // SAFETY: The worker's reference keeps the context, and that the module.
        let ctx = unsafe { Self::context(ctx) };
        // SAFETY: As above; `base.ops` is constant.
        let reg = unsafe { Self::from_ops((*ctx.base.get()).ops) };
        T::ended(reg, ctx);
    }

    unsafe extern "C" fn ctx_free(ctx: *mut bindings::vserver_ctx) {
        // SAFETY: The last reference is gone and `Context::new` leaked a pinned box. CAST: `base`
        // is first in a `repr(C)` structure.
        drop(unsafe { Pin::new_unchecked(KBox::from_raw(ctx.cast::<Context<T>>())) });
    }
}

#[pinned_drop]
impl<T: Operations> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariants `ops` is registered. This returns when there are neither
        // contexts nor calls any more.
        unsafe { bindings::vserver_unregister(self.ops.get()) };
    }
}
