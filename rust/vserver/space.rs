// SPDX-License-Identifier: GPL-2.0

//! Spaces: a context pins the namespaces of its guest, so that they live as long as it does and
//! can be entered while it has no process. Pinned they are until the context ends.
//!
//! Namespaces may refer to their context, by the credentials of who mounted a file system: its
//! last reference may not go before they are let go.

use crate::{syscall::Call, Ctx};
use kernel::{
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    sync::Arc,
    vserver::{
        abi::{self, cmd},
        space::{self, Space},
    },
};

/// The sets that a context keeps, by index.
pub(crate) type Spaces = [Option<Arc<Space>>; 2];

/// What is meant if a client names nothing, and what a guest is to have of its own.
const DEFAULT: u64 = space::FS | space::MNT | space::UTS | space::IPC;

/// The commands.
///
/// # Errors
///
/// As [`crate::syscall::dispatch`].
pub(crate) fn command(call: &Call<'_>) -> Result<u32> {
    match call.cmd {
        cmd::SET_SPACE_V0 | cmd::SET_SPACE_V1 | cmd::SET_SPACE => set(call),
        cmd::ENTER_SPACE_V0 | cmd::ENTER_SPACE_V1 | cmd::ENTER_SPACE => enter(call),
        cmd::GET_SPACE_DEFAULT => call.write(&abi::vcmd_space_mask_v1 {
            mask: DEFAULT & space::supported(),
        }),
        _ => Err(ENOSYS),
    }
}

/// `get_space_mask`: what can be pinned. Free to all.
///
/// # Errors
///
/// `EFAULT`.
pub(crate) fn supported(call: &Call<'_>) -> Result<u32> {
    call.write(&abi::vcmd_space_mask_v1 {
        mask: space::supported(),
    })
}

/// The mask and the index, which older versions lack.
fn argument(call: &Call<'_>) -> Result<(u64, usize)> {
    match call.cmd {
        cmd::SET_SPACE_V0 | cmd::ENTER_SPACE_V0 => Ok((0, 0)),
        cmd::SET_SPACE_V1 | cmd::ENTER_SPACE_V1 => Ok((call.optional(|mask: u64| mask, 0)?, 0)),
        _ if call.data.as_const_ptr().is_null() => Ok((0, 0)),
        _ => Ok((call.read()?, abi::read_space_index(call.data)? as usize)),
    }
}

/// `set_space`: the context holds what the caller is in, beside what it held of other kinds.
///
/// # Errors
///
/// `EINVAL`: no such set, or no such namespace. `ESRCH`: the context has just ended. `ENOMEM`.
fn set(call: &Call<'_>) -> Result<u32> {
    let ctx = call.changeable()?;
    let (mask, index) = argument(call)?;
    let mask = match mask {
        0 => DEFAULT & space::supported(),
        mask => mask,
    };
    loop {
        let old = get(&ctx, index);
        // Made, and let go, outside of the lock: both may sleep for long.
        let new = Space::of_caller(mask, old.as_deref())?;
        let new = Arc::new(new, GFP_KERNEL)?;
        let mut spaces = ctx.spaces.lock();
        // Who ends the context lets go of them after he has said that it has ended.
        if ctx.has_ended() {
            return Err(ESRCH);
        }
        let slot = spaces.get_mut(index).ok_or(EINVAL)?;
        if is_same(slot.as_ref(), old.as_ref()) {
            let _old = slot.replace(new);
            drop(spaces);
            return Ok(0);
        }
        // Somebody else was faster: what he holds is held as well.
    }
}

/// Whether both are one set, or none.
fn is_same(a: Option<&Arc<Space>>, b: Option<&Arc<Space>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        _ => false,
    }
}

/// `enter_space`: the caller moves into what the context holds.
///
/// # Errors
///
/// `EINVAL`: nothing of that kind is held, or the caller has threads or children that share with
/// it what would change. `EACCES`: the context is private. What `setns(2)` fails with.
fn enter(call: &Call<'_>) -> Result<u32> {
    let ctx = call.find()?;
    let (mask, index) = argument(call)?;
    if !call.is_inside() && ctx.has(abi::VXF_INFO_PRIVATE) {
        return Err(EACCES);
    }
    let space = get(&ctx, index).ok_or(EINVAL)?;
    let mask = match mask {
        0 => space.mask(),
        mask => mask,
    };
    space.enter(mask)?;
    Ok(0)
}

/// A set of a context.
pub(crate) fn get(ctx: &Ctx, index: usize) -> Option<Arc<Space>> {
    ctx.spaces.lock().get(index)?.clone()
}

/// How many sets there are, and how many of them hold what.
#[derive(Default)]
pub(crate) struct Totals {
    pub(crate) sets: u32,
    pub(crate) dirs: u32,
    pub(crate) mnt: u32,
    pub(crate) uts: u32,
    pub(crate) ipc: u32,
}

impl Totals {
    /// Counts those of a context as well.
    pub(crate) fn add(&mut self, ctx: &Ctx) {
        for space in ctx.spaces.lock().iter().flatten() {
            let holds = |kind: u64| u32::from(space.mask() & kind != 0);
            self.sets += 1;
            self.dirs += holds(space::FS);
            self.mnt += holds(space::MNT);
            self.uts += holds(space::UTS);
            self.ipc += holds(space::IPC);
        }
    }

    /// Prints the head of `/proc/virtual/status`, of so many contexts.
    pub(crate) fn print(&self, m: &SeqFile, contexts: u32) {
        seq_print!(m, "#CTotal:\t{contexts}\n#CActive:\t{contexts}\n");
        seq_print!(m, "#NSProxy:\t{}\t{} ", self.sets, self.dirs);
        seq_print!(m, "{} {} {}\n", self.mnt, self.uts, self.ipc);
    }
}
