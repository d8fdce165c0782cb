// SPDX-License-Identifier: GPL-2.0
//! What an interruption leaves in a directory: temporary names, the kernel's and our own.
//!
//! The kernel's are `.vserver-cow-INODE-GENERATION-RANDOM` and last no longer than its lock of the
//! directory: nobody sees one but after a crash. Anybody may have made a file of such a name, so a
//! name alone proves nothing: it has to lead to the very inode that it names. Ours may lead to a
//! unified one instead, with which the copy has exchanged names.

use std::ffi::OsStr;
use std::fs::File;

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, FileType, Stat, fstat, statat, unlinkat};
use rustix::io::Errno;

use crate::attr::Attributes;
use crate::copy::open_quietly;
use crate::protect::{self, Exposed, Protection};
use crate::temp::{self, Parsed};

/// What a temporary name leads to.
#[derive(Debug)]
pub(crate) enum Debris {
    /// A private copy that never got its name.
    Copy(Stat),
    /// A further name of a unified file, or the last one of a file that was replaced.
    Link(File, Stat),
    /// Somebody is at work.
    InUse,
    /// It is somebody's own file.
    Foreign,
}

/// Looks at what a name leads to; `None` if that is no temporary name, or gone.
pub(crate) fn judge(
    attributes: &dyn Attributes,
    dir: impl AsFd,
    name: &OsStr,
) -> Result<Option<Debris>, Errno> {
    let (parsed, ours) = match (parse_kernel(name), temp::parse(name)) {
        (Some(parsed), _) => (parsed, false),
        (None, Some(parsed)) => (parsed, true),
        (None, None) => return Ok(None),
    };
    if parsed.in_use {
        return Ok(Some(Debris::InUse));
    }
    match statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode).is_file() => {}
        Ok(_) => return Ok(Some(Debris::Foreign)),
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno),
    }
    let file = match open_quietly(&dir, name) {
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP | Errno::NXIO) => return Ok(Some(Debris::Foreign)),
        file => file?,
    };
    let stat = fstat(&file)?;
    if !FileType::from_raw_mode(stat.st_mode).is_file() {
        return Ok(Some(Debris::Foreign));
    }
    let attr = match attributes.get(file.as_fd()) {
        Err(Errno::OPNOTSUPP | Errno::NOTTY) => Default::default(),
        attr => attr?,
    };
    let shared = protect::is_unified(&attr) || protect::is_bared(&attr, stat.st_nlink);
    Ok(Some(if shared {
        match ours || parsed.inode == temp::identity(&file)? {
            true => Debris::Link(file, stat),
            false => Debris::Foreign,
        }
    } else if stat.st_nlink == 1 && parsed.inode == temp::identity(&file)? {
        Debris::Copy(stat)
    } else {
        // What is not protected may be a file that somebody has moved here meanwhile.
        Debris::Foreign
    }))
}

/// Removes what [`judge`] has found; says whether there was something to remove.
pub(crate) fn remove(
    way: &dyn Protection,
    dir: BorrowedFd<'_>,
    name: &OsStr,
    debris: &Debris,
) -> Result<bool, Exposed> {
    let mut unlink = || match unlinkat(dir, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        removed => removed,
    };
    match debris {
        Debris::Copy(..) => unlink()?,
        Debris::Link(file, stat) => {
            if protect::is_bared(&way.attributes().get(file.as_fd())?, stat.st_nlink) {
                way.restore(file)?;
            }
            way.exposed(file, &mut unlink)?;
        }
        Debris::InUse | Debris::Foreign => return Ok(false),
    }
    Ok(true)
}

/// Takes a temporary name of the kernel apart.
fn parse_kernel(name: &OsStr) -> Option<Parsed> {
    let rest = name.to_str()?.strip_prefix(".vserver-cow-")?;
    let mut words = rest.split('-');
    let mut hex = |digits: usize| {
        let word = words.next()?;
        let fits = word.len() == digits && word.bytes().all(|b| b.is_ascii_hexdigit());
        u64::from_str_radix(word, 16).ok().filter(|_| fits)
    };
    let ino = hex(16)?;
    let generation = u32::try_from(hex(8)?).ok()?;
    hex(8)?;
    words.next().is_none().then_some(Parsed {
        in_use: false,
        inode: (ino, generation),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_kernel() {
        let inode = |name: &str| parse_kernel(OsStr::new(name)).map(|p| p.inode);
        assert_eq!(
            inode(".vserver-cow-00000000000001a2-0000beef-deadbeef"),
            Some((0x1a2, 0xbeef))
        );
        for name in [
            ".vserver-cow-",
            ".vserver-cow-1a2-0",
            ".vserver-cow-00000000000001a2-0000beef",
            ".vserver-cow-00000000000001a2-0000beef-deadbeef-0",
            ".vserver-cow-00000000000001a2-0000beef-deadbee",
            ".vserver-cow-+0000000000001a2-0000beef-deadbeef",
            ".vserver-cow-00000000000001g2-0000beef-deadbeef",
            "vserver-cow-00000000000001a2-0000beef-deadbeef",
        ] {
            assert_eq!(inode(name), None, "{name}");
        }
    }
}
