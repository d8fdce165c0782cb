// SPDX-License-Identifier: GPL-2.0
//! A new context with a program in it.

use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{chdir, chroot};
use rustix::system::sethostname;
use rustix::thread::UnshareFlags;
use vserver_abi as abi;

use super::{Caps, Program, mounts};
use crate::cpu::SchedChange;
use crate::error::{Doing, Error, Result, Vserver};
use crate::names::FlagChange;
use crate::{context, limits};

/// What a new context shall be like.
#[derive(Clone, Debug)]
pub struct NewContext {
    /// Its id; the kernel picks one if there is none.
    pub xid: Option<u32>,
    /// Its name.
    pub name: Option<String>,
    /// Its root directory; the caller's if there is none.
    pub root: Option<PathBuf>,
    /// Namespaces of its own.
    pub namespaces: UnshareFlags,
    /// Its host name, if it has a `uts` namespace.
    pub hostname: Option<String>,
    /// Its limit of CPU time.
    pub sched: SchedChange,
    /// Its other limits.
    pub limits: limits::Changes,
    /// Its flags.
    pub flags: FlagChange,
    /// The capabilities its processes may have.
    pub caps: Caps,
}

/// Creates the context, moves this process in and runs the program in its place, as the
/// context's init. `created` is told the id once it is known. Returns only on failure; the
/// context then goes with this process.
pub fn run(new: &NewContext, program: &Program, created: impl FnOnce(u32) -> Result<()>) -> Error {
    match set_up(new, created) {
        Ok(()) => program.exec(new.root.is_some()),
        Err(e) => e,
    }
}

fn set_up(new: &NewContext, created: impl FnOnce(u32) -> Result<()>) -> Result<()> {
    new.check()?;
    let own_mounts = new.namespaces.contains(UnshareFlags::NEWNS);
    if !new.namespaces.is_empty() {
        abi::process::unshare(new.namespaces).doing(|| "make new namespaces".into())?;
    }
    if own_mounts {
        mounts::make_private()?;
    }
    let xid = create(new)?;
    created(xid)?;
    // Nobody inside gets more, whatever he does: a setuid program, a user namespace.
    Vserver(abi::set_bcaps(xid, new.caps.bits(), u64::MAX))
        .doing(|| format!("bound the capabilities of context {xid}"))?;
    if let Some(root) = new.root.as_deref().filter(|r| *r != Path::new("/")) {
        match own_mounts {
            true => mounts::enter_root(root)?,
            false => change_root(root)?,
        }
    }
    limits::change(xid, &new.limits)?;
    context::change(xid, &new.sched, new.flags, true)?;
    if let Some(name) = &new.name {
        context::set_name(xid, name)?;
    }
    if let Some(name) = new.hostname() {
        sethostname(name.as_bytes()).doing(|| format!("set the host name {name}"))?;
    }
    pin(new, xid)?;
    // From here on the context cannot be changed from inside, and this process is its init.
    Vserver(abi::set_cflags(
        xid,
        0,
        abi::VXF_STATE_SETUP | abi::VXF_STATE_INIT,
    ))
    .doing(|| format!("end the setup of context {xid}"))?;
    new.caps.apply()
}

fn create(new: &NewContext) -> Result<u32> {
    let flags = abi::VXF_STATE_SETUP | abi::VXF_STATE_INIT | abi::VXF_STATE_ADMIN;
    Vserver(abi::ctx_create(new.xid.unwrap_or(abi::VX_XID_ANY), flags)).doing(|| match new.xid {
        Some(xid) => format!("create context {xid}"),
        None => "create a context".to_owned(),
    })
}

/// Has the context hold what it was given of its own, for who enters it.
fn pin(new: &NewContext, xid: u32) -> Result<()> {
    let dirs = match new.root {
        Some(_) => abi::SPACE_DIRS,
        None => 0,
    };
    match u64::from(new.namespaces.bits()) | dirs {
        0 => Ok(()),
        mask => Vserver(abi::set_space(xid, mask, 0))
            .doing(|| format!("keep the namespaces of context {xid}")),
    }
}

/// Changes the root without a mount namespace: nothing is mounted, the host would see it.
fn change_root(root: &Path) -> Result<()> {
    let doing = || format!("make {} the root", root.display());
    chroot(root).doing(doing)?;
    chdir("/").doing(doing)
}

impl NewContext {
    /// Finds mistakes before anything is created.
    fn check(&self) -> Result<()> {
        if let Some(xid) = self.xid {
            if !(abi::VX_XID_MIN..=abi::VX_XID_MAX).contains(&xid) {
                return Err(Error::Invalid(format!(
                    "--xid {xid}: ids go from {} to {}",
                    abi::VX_XID_MIN,
                    abi::VX_XID_MAX
                )));
            }
        }
        if let Some(name) = &self.name {
            context::check_name(name)?;
            match context::resolve(name) {
                Ok(xid) => {
                    return Err(Error::Invalid(format!(
                        "--name {name}: context {xid} has that name; see vserver list"
                    )));
                }
                Err(Error::NoContext(_)) => {}
                Err(e) => return Err(e),
            }
        }
        if let Some(root) = &self.root {
            let stat = rustix::fs::stat(root).doing(|| format!("--root {}", root.display()))?;
            if !rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir() {
                return Err(Error::file("--root", root, Errno::NOTDIR));
            }
        }
        if self.hostname.is_some() && !self.namespaces.contains(UnshareFlags::NEWUTS) {
            return Err(Error::Invalid(
                "--hostname: it would change the host's; give the context a uts namespace".into(),
            ));
        }
        Ok(())
    }

    /// The host name to set, if any: the context's own name where no other is given.
    fn hostname(&self) -> Option<&str> {
        let own = self.namespaces.contains(UnshareFlags::NEWUTS);
        self.hostname
            .as_deref()
            .or(self.name.as_deref())
            .filter(|_| own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> NewContext {
        NewContext {
            xid: None,
            name: None,
            root: None,
            namespaces: UnshareFlags::empty(),
            hostname: None,
            sched: SchedChange::default(),
            limits: limits::Changes::new(),
            flags: FlagChange::default(),
            caps: Caps::all(),
        }
    }

    #[test]
    fn mistakes_are_found_before_anything_happens() {
        let bad_xid = NewContext {
            xid: Some(1),
            ..context()
        };
        let bad_root = NewContext {
            root: Some("/proc/self/status".into()),
            ..context()
        };
        let bad_host = NewContext {
            hostname: Some("a".into()),
            ..context()
        };
        let bad_name = NewContext {
            name: Some("7".into()),
            ..context()
        };
        for (bad, word) in [
            (bad_xid, "--xid"),
            (bad_root, "--root"),
            (bad_host, "--hostname"),
            (bad_name, "--name"),
        ] {
            let error = bad.check().unwrap_err().to_string();
            assert!(error.starts_with(word), "{error}");
        }
        assert!(context().check().is_ok());
    }

    #[test]
    fn the_host_name_is_only_set_in_a_namespace() {
        let mut new = NewContext {
            name: Some("web".into()),
            ..context()
        };
        assert_eq!(new.hostname(), None);
        new.namespaces = UnshareFlags::NEWUTS;
        assert_eq!(new.hostname(), Some("web"));
    }
}
