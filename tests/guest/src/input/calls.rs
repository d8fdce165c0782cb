// SPDX-License-Identifier: GPL-2.0
//! Arguments of the system call.

use crate::raw::vserver;
use crate::unified::*;
use anyhow::Result;
use rustix::fd::AsRawFd as _;
use rustix::fs::OFlags;
use rustix::io::Errno;
use vserver_abi as abi;

/// struct vcmd_ctx_iattr: the name's address; xid and flags; mask.
type Iattr = [u64; 3];

const NOWHERE: [usize; 3] = [0, 1, 0xffff_8000_0000_0000];

/// Pointers to nothing, for the structure and for the name in it.
pub(super) fn pointers() -> Result<()> {
    let pair = Pair::new("pointers")?;
    let fd = pair.reader()?;
    let number = u32::try_from(fd.as_raw_fd())?;
    for at in NOWHERE {
        for (cmd, id) in [
            (abi::VCMD_get_iattr, 0),
            (abi::VCMD_set_iattr, 0),
            (abi::VCMD_fget_iattr, number),
            (abi::VCMD_fset_iattr, number),
            (abi::VCMD_unify, number),
        ] {
            pair.refused("the structure", vserver(cmd, id, at), Errno::FAULT)?;
        }
        for cmd in [abi::VCMD_get_iattr, abi::VCMD_set_iattr] {
            let data: Iattr = [at as u64, 0, u64::from(UNIFIED)];
            let got = vserver(cmd, 0, data.as_ptr() as usize);
            pair.refused("the name", got, Errno::FAULT)?;
        }
    }
    for (name, errno) in [
        (String::new(), Errno::NOENT),
        ("x".repeat(256), Errno::NAMETOOLONG),
        ("x/".repeat(2048), Errno::NAMETOOLONG),
    ] {
        refused("get", abi::get_iattr(&*name), errno)?;
        refused("set", set_flags(name.as_ref(), 0, UNIFIED), errno)?;
    }
    Ok(())
}

/// Descriptors of no file, and those that are none.
pub(super) fn descriptors() -> Result<()> {
    let pair = Pair::new("descriptors")?;
    let path = open(&pair.a, OFlags::PATH)?;
    refused("O_PATH", abi::fget_iattr(&path), Errno::BADF)?;
    let (pipe, _write) = rustix::pipe::pipe()?;
    let attr = abi::CtxFiattr {
        xid: 0,
        flags: 0,
        mask: UNIFIED,
    };
    refused("O_PATH", abi::fset_iattr(&path, attr), Errno::BADF)?;
    refused("a pipe", abi::fset_iattr(&pipe, attr), Errno::OPNOTSUPP)?;
    let mut data = [0u32; 3];
    let at = data.as_mut_ptr() as usize;
    for fd in [-1i32 as u32, 9999] {
        for cmd in [
            abi::VCMD_fget_iattr,
            abi::VCMD_fset_iattr,
            abi::VCMD_unify,
            abi::VCMD_deunify,
        ] {
            refused("no descriptor", vserver(cmd, fd, at), Errno::BADF)?;
        }
    }
    pair.intact()
}
