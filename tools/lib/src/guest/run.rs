// SPDX-License-Identifier: GPL-2.0
//! A new context with a program in it.

use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{chdir, chroot};
use rustix::system::sethostname;
use rustix::thread::UnshareFlags;
use vserver_abi as abi;

use super::{Caps, Program, extra, mounts};
use crate::config::{Mount, Xid};
use crate::cpu::SchedChange;
use crate::error::{Doing, Error, Result, Vserver};
use crate::names::FlagChange;
use crate::{cgroup, context, limits};

/// What a new context shall be like.
#[derive(Clone, Debug)]
pub struct NewContext {
    /// Its id; the kernel picks one if there is none.
    pub xid: Option<u32>,
    /// Its name.
    pub name: Option<String>,
    /// Its root directory; the caller's if there is none.
    pub root: Option<PathBuf>,
    /// What is mounted in its root directory, beside what every guest gets.
    pub mounts: Vec<Mount>,
    /// Namespaces of its own.
    pub namespaces: UnshareFlags,
    /// Kinds of namespaces (`CLONE_NEW*`) that may be made inside.
    pub may_make: u64,
    /// Its host name, if it has a `uts` namespace.
    pub hostname: Option<String>,
    /// Other names that `uname(2)` says inside, by their numbers (`VHIN_*`).
    pub names: Vec<(u32, String)>,
    /// Its limit of CPU time.
    pub sched: SchedChange,
    /// Its other limits.
    pub limits: limits::Changes,
    /// Its limits of memory.
    pub memory: cgroup::Limits,
    /// It gets a cgroup, if there can be one, though nothing asks for that.
    pub cgroup: bool,
    /// What is added to the `oom_score_adj` of its processes.
    pub oom_bias: Option<i64>,
    /// Its flags.
    pub flags: FlagChange,
    /// The capabilities its processes may have.
    pub caps: Caps,
    /// Its context capabilities (`VXC_*`).
    pub ccaps: u64,
    /// Its init is a small one of ours, and the program a child of that.
    pub small_init: bool,
}

impl Default for NewContext {
    /// One with nothing of its own.
    fn default() -> Self {
        Self {
            xid: None,
            name: None,
            root: None,
            mounts: Vec::new(),
            namespaces: UnshareFlags::empty(),
            may_make: 0,
            hostname: None,
            names: Vec::new(),
            sched: SchedChange::default(),
            limits: limits::Changes::new(),
            memory: cgroup::Limits::default(),
            cgroup: false,
            oom_bias: None,
            flags: FlagChange::default(),
            caps: Caps::all(),
            ccaps: 0,
            small_init: false,
        }
    }
}

/// What failed while a context was set up.
#[derive(Debug)]
pub(super) struct Failed {
    /// What was being done, in a word: "mounts".
    pub(super) step: &'static str,
    /// Why it failed.
    pub(super) error: Error,
}

/// Says at which step it was.
trait At<T> {
    fn at(self, step: &'static str) -> Result<T, Failed>;
}

impl<T> At<T> for Result<T> {
    fn at(self, step: &'static str) -> Result<T, Failed> {
        self.map_err(|error| Failed { step, error })
    }
}

/// Creates the context, moves this process in and runs the program in its place, as the
/// context's init. `created` is told the id once it is known. Returns only on failure; the
/// context then goes with this process.
pub fn run(new: &NewContext, program: &Program, created: impl FnOnce(u32) -> Result<()>) -> Error {
    set_up_and_run(new, program, created).error
}

/// The same, and says at which step it failed.
pub(super) fn set_up_and_run(
    new: &NewContext,
    program: &Program,
    created: impl FnOnce(u32) -> Result<()>,
) -> Failed {
    let own = match new.small_init.then(super::own_program).transpose() {
        Ok(own) => own,
        Err(error) => {
            return Failed {
                step: "init",
                error,
            };
        }
    };
    if let Err(failed) = set_up(new, created) {
        return failed;
    }
    let guest = new.root.is_some();
    let error = match own {
        Some(own) => program.run_below(&own, guest),
        None => program.exec(guest),
    };
    Failed {
        step: "init",
        error,
    }
}

fn set_up(new: &NewContext, created: impl FnOnce(u32) -> Result<()>) -> Result<(), Failed> {
    new.check().at("configuration")?;
    let own_mounts = new.namespaces.contains(UnshareFlags::NEWNS);
    let own_groups = new.namespaces & UnshareFlags::NEWCGROUP;
    let others = new.namespaces - own_groups;
    if !others.is_empty() {
        super::unshare(others).at("namespaces")?;
    }
    let extra = new.mounts.iter().map(extra::prepare);
    let extra: Vec<_> = extra.collect::<Result<_>>().at("mounts")?;
    let xid = create(new).at("context")?;
    created(xid).at("context")?;
    if new.cgroup || !new.memory.is_empty() || !own_groups.is_empty() {
        cgroup::create(xid, &new.memory, !own_groups.is_empty()).at("limits")?;
    }
    // Its root is the group in which it is made, and that is the guest's to change.
    if !own_groups.is_empty() {
        super::unshare(own_groups).at("namespaces")?;
    }
    // Nobody inside gets more, whatever he does: a setuid program, a user namespace.
    Vserver(abi::set_bcaps(xid, new.caps.bits(), u64::MAX))
        .doing(|| format!("bound the capabilities of context {xid}"))
        .at("capabilities")?;
    if let Some(root) = new.root.as_deref().filter(|r| *r != Path::new("/")) {
        match own_mounts {
            true => mounts::enter_root(root, !own_groups.is_empty())
                .and_then(|()| match new.ccaps & abi::VXC_QUOTA_CTL {
                    0 => Ok(()),
                    _ => mounts::show_disk(),
                })
                .at("root")?,
            false => change_root(root).at("root")?,
        }
    }
    extra
        .into_iter()
        .try_for_each(extra::Prepared::attach)
        .at("mounts")?;
    // After the mounts: with secure_mount those made from here on are nodev.
    if new.ccaps != 0 || new.may_make != 0 {
        context::set_ccaps(xid, new.ccaps, u64::MAX).at("capabilities")?;
        Vserver(abi::set_umask(xid, new.may_make, u64::MAX))
            .doing(|| format!("say what namespaces may be made in context {xid}"))
            .at("capabilities")?;
    }
    limits::change(xid, &new.limits).at("limits")?;
    if let Some(bias) = new.oom_bias {
        context::set_oom_bias(xid, bias).at("limits")?;
    }
    context::change(xid, &new.sched, FlagChange::default(), true).at("scheduler")?;
    name(new, xid).at("names")?;
    pin(new, xid).at("namespaces")?;
    // With the flag persistent only now: what fails before goes with this process.
    context::change(xid, &SchedChange::default(), new.flags, true).at("flags")?;
    // From here on the context cannot be changed from inside, and this process is its init.
    Vserver(abi::set_cflags(
        xid,
        0,
        abi::VXF_STATE_SETUP | abi::VXF_STATE_INIT,
    ))
    .doing(|| format!("end the setup of context {xid}"))
    .at("context")?;
    new.caps.with(new.ccaps).apply().at("capabilities")
}

fn name(new: &NewContext, xid: u32) -> Result<()> {
    if let Some(name) = &new.name {
        context::set_name(xid, name)?;
    }
    if let Some(name) = new.hostname() {
        sethostname(name.as_bytes()).doing(|| format!("set the host name {name}"))?;
    }
    let mut names = new.names.iter();
    names.try_for_each(|(field, name)| context::set_uts_name(xid, *field, name))
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
            Xid::try_from(xid).map_err(|e| Error::Invalid(format!("--xid {e}")))?;
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
        NewContext::default()
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
