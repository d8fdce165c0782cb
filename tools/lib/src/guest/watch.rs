// SPDX-License-Identifier: GPL-2.0
//! Who watches a guest: the process that started it, or one that stays behind.
//!
//! A guest that ends by itself leaves nothing, and one that calls reboot(2) to be restarted is
//! started again. A guest that was stopped, or that halted, stays down.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, setsid, waitpid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use vserver_abi::process::{Fork, close_others_on_exec, fork};

use super::detach::{NotStarted, open_log, outcome, report, start_behind};
use super::start::Plan;
use super::{Lock, Started, status};
use crate::config::Store;
use crate::error::{Doing, Error, Result};
use crate::{cgroup, context, quota};

/// The name under which the command watches a guest.
pub const WATCHER: &str = "vserver-watch";

/// The word for a watcher that stays with its guest, whoever starts that again.
const STAYS: &str = "stays";
/// The steps before there is a context.
const LOCK: &str = "lock";
const PROCESS: &str = "process";
/// This command's own file.
const OWN: &str = "/proc/self/exe";
/// How long a guest that restarts is down: one that does nothing else costs the host little.
const PAUSE: Duration = Duration::from_secs(1);
/// The commands of reboot(2) after which a guest is started again: RESTART, RESTART2.
const RESTARTS: [u32; 2] = [0x0123_4567, 0xa1b2_c3d4];

/// A guest that this process watches.
#[derive(Debug)]
pub struct Watch {
    name: String,
    xid: u32,
    /// Its init, if that is a child of this process: it has started the guest.
    init: Option<Pid>,
    /// It watches the guest also when another one has started that again.
    stays: bool,
}

/// Starts a guest, which must not run, and returns its context's id; a process stays behind and
/// watches it. If that fails nothing of it is left: neither mounts, which are in a namespace of its
/// own, nor a context. The process must be sealed (see [`super::seal`]) and have one thread.
///
/// `looked_at` is told how many files were looked at, if that is needed for its limit on the disk.
pub fn start(store: &Store, name: &str, looked_at: &mut dyn FnMut(u64)) -> Result<u32> {
    let lock = Lock::take(store, name).map_err(|e| e.at_step(name, LOCK))?;
    start_locked(lock, store, name, looked_at)
}

/// The same, but it may run, and another command may be at work on it, which is waited for: two that
/// need the same guest come at the same time when the host boots. It is started if `may_start`.
pub fn start_if_down(
    store: &Store,
    name: &str,
    may_start: impl FnOnce() -> Result<()>,
    looked_at: &mut dyn FnMut(u64),
) -> Result<Started> {
    let lock = wait(store, name)?;
    match status::context_of(name)? {
        Some(xid) => Ok(Started::Before(xid)),
        None => may_start()
            .and_then(|()| start_locked(lock, store, name, looked_at))
            .map(Started::Now),
    }
}

fn wait(store: &Store, name: &str) -> Result<Lock> {
    Lock::wait(store, name).map_err(|e| e.at_step(name, LOCK))
}

fn start_locked(
    lock: Lock,
    store: &Store,
    name: &str,
    looked_at: &mut dyn FnMut(u64),
) -> Result<u32> {
    let plan = Plan::of(store, name, looked_at)?;
    let doing = || "start a process in the background".to_owned();
    let at = |e: Error| e.at_step(name, PROCESS);
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).doing(doing).map_err(at)?;
    match fork().doing(doing).map_err(at)? {
        Fork::Parent(pid) => {
            drop(writer);
            outcome(&mut File::from(reader), |_| {
                // What it was is said already.
                let _ = waitpid(Some(pid), WaitOptions::empty());
            })
            .map_err(|e| failed(name, e))
        }
        Fork::Child => {
            drop((reader, lock));
            stay_behind(&plan, File::from(writer))
        }
    }
}

/// The same, but this process is the one that watches it, as long as it runs and whoever has started
/// it: what a supervisor asks for is that it runs, and another guest that requires it may have come
/// first.
pub fn start_here(store: &Store, name: &str, looked_at: &mut dyn FnMut(u64)) -> Result<Watch> {
    let _lock = wait(store, name)?;
    begin_or_join(store, name, true, looked_at)
}

/// Starts a guest whose lock is held, unless it runs.
fn begin_or_join(
    store: &Store,
    name: &str,
    stays: bool,
    looked_at: &mut dyn FnMut(u64),
) -> Result<Watch> {
    if let Some(xid) = status::context_of(name)? {
        return Ok(Watch {
            name: name.to_owned(),
            xid,
            init: None,
            stays,
        });
    }
    let plan = Plan::of(store, name, looked_at)?;
    begin(&plan, stays).map_err(|e| failed(name, e))
}

fn begin(plan: &Plan, stays: bool) -> Result<Watch, NotStarted> {
    let (xid, init) = start_behind(&plan.new, &plan.program, Some(&plan.log))?;
    Ok(Watch {
        name: plan.name.clone(),
        xid,
        init: Some(init),
        stays,
    })
}

fn failed(name: &str, error: NotStarted) -> Error {
    match error {
        NotStarted::Before(e) => e.at_step(name, PROCESS),
        NotStarted::At(step, cause) => Error::Start {
            guest: name.to_owned(),
            step,
            cause,
        },
    }
}

/// The process that stays behind: starts the guest, reports what came of it, and watches it as a
/// program that has nothing of whoever started it.
fn stay_behind(plan: &Plan, mut to: File) -> ! {
    let begun = leave(&plan.log).map_err(NotStarted::from);
    let begun = begun.and_then(|()| begin(plan, false));
    // Nobody may be left to be told.
    let _ = to.write_all(&report(begun.as_ref().map(|watch| watch.xid)));
    drop(to);
    if let Ok(Watch {
        name,
        xid,
        init: Some(init),
        ..
    }) = begun
    {
        let numbers = [xid.to_string(), init.as_raw_nonzero().to_string()];
        eprintln!("{WATCHER}: {}", become_watcher(&name, &numbers));
    }
    exit(1)
}

/// Leaves terminal, input and output of whoever started it; what there is to say goes to the log.
fn leave(log: &Path) -> Result<()> {
    let null = Path::new("/dev/null");
    let input = File::options().read(true).write(true).open(null);
    let input = input.map_err(|e| Error::file("open", null, e))?;
    let log = open_log(log)?;
    setsid()
        .and_then(|_| dup2_stdin(&input))
        .and_then(|()| dup2_stdout(&input))
        .and_then(|()| dup2_stderr(&log))
        .doing(|| "leave the terminal".into())
}

/// Runs this command as the watcher in place of this process; returns only if that fails.
fn become_watcher(name: &str, words: &[String]) -> Error {
    if let Err(e) = close_others_on_exec().doing(|| "close descriptors".into()) {
        return e;
    }
    let mut command = Command::new(OWN);
    let error = command.arg0(WATCHER).arg(name).args(words).exec();
    Error::file("run", Path::new(OWN), error)
}

/// The watcher, with the name of a guest and, if it runs already, the context's id and its init's
/// process, which is a child of this one. Without, it is to be started again, and [`STAYS`] may be
/// there instead.
pub fn watcher(words: impl Iterator<Item = OsString>) -> Result<()> {
    let words: Vec<String> = words.filter_map(|w| w.into_string().ok()).collect();
    // It has the name of a link otherwise.
    rustix::thread::set_name(c"vserver-watch").doing(|| "set a name".into())?;
    let store = Store::system();
    let number = |n: usize| words.get(n)?.parse::<i32>().ok();
    let name = words.first().cloned().unwrap_or_default();
    let watch = match number(1).zip(number(2).and_then(Pid::from_raw)) {
        Some((xid, init)) => Watch {
            name,
            xid: xid.unsigned_abs(),
            init: Some(init),
            stays: false,
        },
        None => match again(&store, &name, words.get(1).is_some_and(|w| w == STAYS))? {
            Some(watch) => watch,
            None => return Ok(()),
        },
    };
    watch.until_down(&store)
}

/// Starts a guest that has asked for it, unless somebody has started or stopped it meanwhile; there
/// is nothing to watch then, but for who `stays`.
fn again(store: &Store, name: &str, stays: bool) -> Result<Option<Watch>> {
    thread::sleep(PAUSE);
    let _lock = wait(store, name)?;
    if is_down(store, name) {
        return Ok(None);
    }
    let watch = begin_or_join(store, name, stays, &mut |_| ())?;
    Ok((watch.is_own() || stays).then_some(watch))
}

impl Watch {
    /// Its context's id.
    pub fn xid(&self) -> u32 {
        self.xid
    }

    /// Whether this process has started it.
    pub fn is_own(&self) -> bool {
        self.init.is_some()
    }

    /// Waits until it is down and stays so.
    pub fn until_down(self, store: &Store) -> Result<()> {
        let restarts = self.wait()?;
        // Who has started it does so, and then starts it again.
        if self.is_own() {
            cgroup::remove(self.xid);
            self.save_quotas(store);
        }
        let words = [STAYS.to_owned()];
        let words = if self.stays { &words[..] } else { &[] };
        match restarts && !is_down(store, &self.name) {
            // A process with one thread again.
            true => Err(become_watcher(&self.name, words)),
            false => Ok(()),
        }
    }

    /// Writes down what its users may have, before its file system is unmounted.
    fn save_quotas(&self, store: &Store) {
        match quota::save(store, &self.name) {
            // Who stops it does so.
            Ok(_) | Err(Error::Busy(_)) => {}
            Err(e) => eprintln!("{WATCHER}: {e}"),
        }
    }

    /// Waits for its end; returns whether it is to start again.
    ///
    /// If it was gone before, its init tells, which stays until it is waited for. Else that would
    /// take any SIGHUP for a reboot.
    fn wait(&self) -> Result<bool> {
        let ended = context::wait(self.xid);
        let status = self.init.map(end_of).transpose()?.flatten();
        match ended {
            Ok(ended) => Ok(RESTARTS.contains(&u32::from_ne_bytes(ended.reboot_cmd.to_ne_bytes()))),
            Err(e) if e.errno() == Some(Errno::SRCH) => {
                Ok(status.is_some_and(|(_, status)| asks_for_restart(status)))
            }
            Err(e) => Err(e),
        }
    }
}

/// How a child of this process ends.
fn end_of(init: Pid) -> Result<Option<(Pid, WaitStatus)>> {
    loop {
        match waitpid(Some(init), WaitOptions::empty()) {
            Err(Errno::INTR) => {}
            // Who started this process ignores its children.
            Err(Errno::CHILD) => return Ok(None),
            status => return status.doing(|| "wait for a guest's init".into()),
        }
    }
}

/// Whether that is how an init ends after a reboot(2) for a restart.
fn asks_for_restart(status: WaitStatus) -> bool {
    status.terminating_signal() == Some(Signal::HUP.as_raw())
}

/// The mark of a guest that is to stay down.
fn mark(store: &Store, name: &str) -> PathBuf {
    store.run_dir().join(format!("{name}.down"))
}

/// Marks a guest whose lock is held: whatever it asks for, it stays down.
pub(super) fn keep_down(store: &Store, name: &str) -> Result<()> {
    let path = mark(store, name);
    fs::write(&path, "").map_err(|e| Error::file("write", &path, e))
}

/// Takes the mark away from a guest whose lock is held.
pub(super) fn let_up(store: &Store, name: &str) -> Result<()> {
    let path = mark(store, name);
    match fs::remove_file(&path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|e| Error::file("remove", &path, e)),
    }
}

fn is_down(store: &Store, name: &str) -> bool {
    mark(store, name).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_odd_about_a_guest_is_named_with_it() {
        let failed = |odd: fn(&Store)| {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::below(dir.path().to_owned());
            store.save("web", "").unwrap();
            odd(&store);
            let error = start(&store, "web", &mut |_| ()).unwrap_err();
            assert!(matches!(error, Error::Start { .. }), "{error:?}");
            error.to_string()
        };
        let lock = failed(|store| fs::create_dir_all(store.run_dir().join("web.lock")).unwrap());
        assert!(
            lock.starts_with("web: start failed at lock: open "),
            "{lock}"
        );
        let xid = failed(|store| fs::create_dir_all(store.state_dir().join("xids")).unwrap());
        assert!(xid.starts_with("web: start failed at xid: read "), "{xid}");
        let file = failed(|store| {
            fs::remove_file(store.file("web")).unwrap();
            fs::create_dir(store.file("web")).unwrap();
        });
        assert!(
            file.starts_with("web: start failed at configuration: "),
            "{file}"
        );
    }

    #[test]
    fn a_guest_is_marked() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::below(dir.path().to_owned());
        let _lock = Lock::take(&store, "web").unwrap();
        assert!(!is_down(&store, "web"));
        keep_down(&store, "web").unwrap();
        assert!(is_down(&store, "web") && !is_down(&store, "db"));
        let_up(&store, "web").unwrap();
        let_up(&store, "web").unwrap();
        assert!(!is_down(&store, "web"));
    }
}
