// SPDX-License-Identifier: GPL-2.0

//! Inode attributes: the commands that get and set them, and those that make and break links of
//! unified files.

use crate::{cow, cow_stats, syscall::Call, unify};
use kernel::{
    fs::LocalFile,
    prelude::*,
    vfs::{Iattr, Path},
    vserver::{
        abi::{self, cmd},
        capable, Capability,
    },
};

/// The commands.
///
/// # Errors
///
/// As [`crate::syscall::dispatch`], and:
/// - `EPERM`: no `CAP_LINUX_IMMUTABLE`, the caller is inside a context, or the file is append-only.
/// - `EOPNOTSUPP`: this file can have no attributes; `EINVAL`: not these.
/// - `ETXTBSY`: it is to be made immutable, and somebody has it open for writing.
/// - `EBUSY`: a unified file is to be an ordinary one, and the file system can't do that with this
///   inode, only with a copy ([`cmd::DEUNIFY`]).
/// - Those of [`unify::unify`] and [`cow::break_link`].
/// - `EROFS` and those of the file system.
pub(crate) fn command(call: &Call<'_>) -> Result<u32> {
    match call.cmd {
        cmd::GET_IATTR => {
            let arg = abi::read_iattr(call.data)?;
            abi::write_iattr(call.data, &get(&Path::lookup_user(arg.name)?)?)?;
        }
        cmd::SET_IATTR => {
            may_set(call)?;
            let arg = abi::read_iattr(call.data)?;
            set(&Path::lookup_user(arg.name)?, &arg.attr)?;
        }
        cmd::FGET_IATTR => return call.write(&get(&Path::from_fd(call.id)?)?),
        cmd::FSET_IATTR => {
            may_set(call)?;
            let attr = call.read()?;
            set(&Path::from_fd(call.id)?, &attr)?;
        }
        cmd::UNIFY => {
            may_set(call)?;
            let arg: abi::vcmd_unify_v0 = call.read()?;
            let new = u32::try_from(arg.fd).map_err(|_| EBADF)?;
            unify::unify(&Path::from_fd(call.id)?, &Path::from_fd(new)?)?;
        }
        cmd::DEUNIFY => {
            may_set(call)?;
            // Keeps the descriptor's file, which counts as a reader.
            let file = LocalFile::fget(call.id)?;
            cow_stats::observe(call.reg, &mut Path::of_file(&file), |path| {
                cow::break_link(path, i64::MAX, 1)
            })?;
        }
        _ => return Err(ENOSYS),
    }
    Ok(0)
}

/// A file's attributes. Where it can have none, the mask says so.
fn get(path: &Path) -> Result<abi::vcmd_ctx_fiattr_v0> {
    let attr = path.iattr()?;
    Ok(abi::vcmd_ctx_fiattr_v0 {
        xid: attr.xid,
        flags: attr.flags,
        mask: attr.mask,
    })
}

fn may_set(call: &Call<'_>) -> Result {
    if call.is_inside() || !capable(Capability::LinuxImmutable) {
        return Err(EPERM);
    }
    Ok(())
}

fn set(path: &Path, attr: &abi::vcmd_ctx_fiattr_v0) -> Result {
    path.set_iattr(&Iattr {
        xid: attr.xid,
        flags: attr.flags,
        mask: attr.mask,
    })
}
