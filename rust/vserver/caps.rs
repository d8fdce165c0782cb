// SPDX-License-Identifier: GPL-2.0

//! What those inside a context can do: the upper bound on Linux capabilities, the context
//! capabilities that give single powers back, and the namespaces they may make.

use crate::syscall::Call;
use kernel::{
    prelude::*,
    vserver::{
        abi::{self, cmd},
        Capability as Cap, Word,
    },
};

/// The upper bound of a new context. Each of these acts on what belongs to the context only: on its
/// processes and files, or on what the hooks keep apart.
pub(crate) const DEFAULT_BCAPS: u64 = Cap::mask(&[
    Cap::Chown,
    Cap::DacOverride,
    Cap::Fowner,
    Cap::Fsetid,
    Cap::Kill,
    Cap::Setgid,
    Cap::Setuid,
    Cap::Setpcap,
    Cap::NetBindService,
    Cap::IpcOwner,
    Cap::SysChroot,
    Cap::SysPtrace,
    Cap::SysBoot,
    Cap::Lease,
    Cap::Setfcap,
]);

/// The commands that get and set words of bits.
///
/// # Errors
///
/// As [`crate::syscall::dispatch`].
pub(crate) fn command(call: &Call<'_>) -> Result<u32> {
    match call.cmd {
        cmd::GET_CFLAGS => call.write(&abi::vcmd_ctx_flags_v0 {
            flagword: call.find()?.flags(),
            // What can still be set: all but the one-time flags.
            mask: !abi::VXF_ONE_TIME,
        }),
        cmd::SET_CFLAGS => {
            let ctx = call.changeable()?;
            let arg: abi::vcmd_ctx_flags_v0 = call.read()?;
            call.reg
                .table
                .set_flags(&ctx, call.is_inside(), arg.flagword, arg.mask);
            Ok(0)
        }
        cmd::GET_CCAPS_V0 => {
            let ctx = call.find()?;
            call.write(&abi::vcmd_ctx_caps_v0 {
                bcaps: ctx.get(Word::Bcaps),
                ccaps: ctx.get(Word::Ccaps),
                cmask: !0,
            })
        }
        cmd::SET_CCAPS_V0 => {
            let ctx = call.changeable()?;
            let arg: abi::vcmd_ctx_caps_v0 = call.read()?;
            let table = &call.reg.table;
            table.set_word(&ctx, Word::Bcaps, arg.bcaps, arg.cmask);
            table.set_word(&ctx, Word::Ccaps, arg.ccaps, arg.cmask);
            Ok(0)
        }
        cmd::GET_CCAPS => get(call, Word::Ccaps),
        cmd::SET_CCAPS => set(call, Word::Ccaps),
        cmd::GET_BCAPS => get(call, Word::Bcaps),
        cmd::SET_BCAPS => set(call, Word::Bcaps),
        cmd::GET_UMASK => get(call, Word::Umask),
        cmd::SET_UMASK => set(call, Word::Umask),
        _ => Err(ENOSYS),
    }
}

/// Answers with a word and the mask of what can be set in it.
fn get(call: &Call<'_>, word: Word) -> Result<u32> {
    call.write(&[call.find()?.get(word), !0])
}

/// Sets the bits of a word that the mask behind it names.
fn set(call: &Call<'_>, word: Word) -> Result<u32> {
    let ctx = call.changeable()?;
    let [bits, mask]: [u64; 2] = call.read()?;
    call.reg.table.set_word(&ctx, word, bits, mask);
    Ok(0)
}
