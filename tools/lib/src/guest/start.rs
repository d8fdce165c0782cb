// SPDX-License-Identifier: GPL-2.0
//! What is started of configured guests.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use vserver_abi as abi;

use super::{NewContext, Program, status, watch};
use crate::config::{Guest, Mount, Store, Style};
use crate::error::{Doing, Error, Result};
use crate::{dlimit, quota};

/// All that is needed to start a guest.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) new: NewContext,
    pub(super) program: Program,
    pub(super) log: PathBuf,
}

impl Plan {
    /// What a guest, which must not run, is to be like. Its lock is held.
    ///
    /// If it has a limit on the disk, and what it has is not known, as after a crash, that is added up,
    /// and `looked_at` told how many files of that file system were looked at. The same goes for what
    /// its users have, after each mount.
    pub(super) fn of(store: &Store, name: &str, looked_at: &mut dyn FnMut(u64)) -> Result<Self> {
        let at = |step: &'static str| move |e: Error| e.at_step(name, step);
        let guest = store.load(name).map_err(at("configuration"))?;
        let xid = store.xid(name, &guest).map_err(at("xid"))?;
        // Whether there is the module shows here.
        refuse_running(name, xid)?;
        let log = store.log(name, &guest);
        make_directory_of(&log).map_err(at("log"))?;
        let root = store.root(name, &guest);
        let kept = || quota::load(store, name);
        dlimit::begin(xid, &root, guest.disk(), kept, looked_at).map_err(at("disk limit"))?;
        watch::let_up(store, name).map_err(at("mark"))?;
        Ok(Self {
            name: name.to_owned(),
            new: plan(store, name, &guest, xid),
            program: program(&guest),
            log,
        })
    }
}

fn make_directory_of(log: &Path) -> Result<()> {
    match log.parent() {
        Some(dir) => fs::create_dir_all(dir).doing(|| format!("make {}", dir.display())),
        None => Ok(()),
    }
}

/// Fails if the guest runs, or another context has its id.
fn refuse_running(name: &str, xid: u32) -> Result<()> {
    if !status::exists(xid)? {
        return Ok(());
    }
    let other = abi::get_vhi_name(xid, abi::VHIN_CONTEXT);
    Err(Error::Busy(match other {
        Ok(other) if other != name => {
            format!("{name}: its id {xid} is that of another context, {other:?}: see vserver list")
        }
        // It has just ended.
        Err(Errno::SRCH) => format!("{name}: it is just ending: try again"),
        _ => format!("{name}: it runs already, as context {xid}"),
    }))
}

/// The context that a guest gets.
fn plan(store: &Store, name: &str, guest: &Guest, xid: u32) -> NewContext {
    let hostname = guest.names.hostname.as_ref();
    NewContext {
        xid: Some(xid),
        name: Some(name.to_owned()),
        root: Some(store.root(name, guest)),
        mounts: mounts(guest),
        namespaces: guest.namespaces(),
        may_make: guest.may_make(),
        hostname: hostname.map(|h| h.0.clone()),
        names: guest.uts_names(),
        sched: guest.sched(),
        limits: guest.things(),
        memory: guest.memory(),
        cgroup: true,
        oom_bias: guest.limits.oom_bias.as_ref().map(|b| b.0),
        flags: guest.flags(),
        caps: guest.caps(),
        ccaps: guest.ccaps(),
        small_init: guest.init.style == Style::Small,
    }
}

/// What is mounted in it. Where systemd finds no /run it wants to mount one, and may not.
fn mounts(guest: &Guest) -> Vec<Mount> {
    let target = PathBuf::from("/run");
    let given = guest.mounts.iter().any(|mount| mount.target == target);
    let run = (guest.init.style == Style::Systemd && !given).then(|| Mount {
        source: "tmpfs".to_owned(),
        target,
        kind: "tmpfs".to_owned(),
        options: ["nosuid", "nodev", "mode=755"].map(str::to_owned).into(),
    });
    run.into_iter()
        .chain(guest.mounts.iter().cloned())
        .collect()
}

/// What is run in it.
fn program(guest: &Guest) -> Program {
    let own_init = || vec![OsString::from("/sbin/init")];
    let given = &guest.init.command;
    let argv = match guest.init.style {
        Style::Sysv | Style::Systemd if given.is_empty() => own_init(),
        _ => given.iter().map(OsString::from).collect(),
    };
    let env = guest.init.env.iter();
    Program {
        argv,
        env: env.map(|(k, v)| (k.into(), v.into())).collect(),
        workdir: guest.init.workdir.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read;

    fn planned(text: &str) -> (NewContext, Program) {
        let store = Store::below("/x".into());
        let guest = read::parse(text, Path::new("w")).unwrap();
        (plan(&store, "web", &guest, 7), program(&guest))
    }

    #[test]
    fn a_guest_without_words_gets_the_usual() {
        let (new, program) = planned("");
        assert_eq!(new.root.as_deref(), Some(Path::new("/x/vservers/web")));
        assert_eq!(new.namespaces, super::super::default_namespaces(true));
        assert!(new.small_init && program.argv.is_empty());
        assert_eq!(new.flags.set, abi::VXF_INFO_INIT | abi::VXF_VIRT_MEM);
        assert!(new.cgroup && new.memory.is_empty() && new.mounts.is_empty());
        assert_eq!(new.caps, super::super::Caps::guest());
    }

    #[test]
    fn what_is_configured_is_planned() {
        let (new, program) = planned(
            "flags = ['-info_init', '-virt_mem']\n[init]\nstyle = 'systemd'\n[spaces]\nown = ['uts']\n\
             may_make = ['user']\n[names]\nhostname = 'h'\nrelease = '9'\n[capabilities]\n\
             context = ['secure_mount']\n[limits]\nmemory = '1M'\n",
        );
        assert_eq!(program.argv, ["/sbin/init"]);
        assert!(!new.small_init);
        assert_eq!(new.flags.set, 0);
        assert!(new.namespaces.contains(rustix::thread::UnshareFlags::NEWNS));
        assert_eq!(new.may_make, 0x1000_0000);
        assert_eq!(new.hostname.as_deref(), Some("h"));
        assert_eq!(new.names, [(abi::VHIN_RELEASE, "9".to_owned())]);
        assert_eq!(new.ccaps, abi::VXC_SECURE_MOUNT);
        assert_eq!(new.memory.memory, "1024k".parse().ok());
    }
    #[test]
    fn systemd_gets_what_it_wants() {
        let (new, program) = planned("[init]\nstyle = 'systemd'");
        assert_eq!(program.argv, ["/sbin/init"]);
        assert!(
            new.namespaces
                .contains(rustix::thread::UnshareFlags::NEWCGROUP)
        );
        assert_eq!(new.mounts[0].target, Path::new("/run"));
        let (new, _) =
            planned("[init]\nstyle = 'systemd'\n[[mount]]\nsource = '/srv/run'\ntarget = '/run'\n");
        assert_eq!(new.mounts.len(), 1);
        assert_eq!(new.mounts[0].kind, "bind");
    }
}
