// SPDX-License-Identifier: GPL-2.0
//! Signals and limits that come in the middle of a copy.

use super::case::{content, link_again, old_or_new};
use super::ground::Ground;
use crate::kernel_log::{log_end, logged};
use crate::process::{Child, Status, eventually, handle, isolated, spawn, state};
use crate::suspend::OnlyFreezer;
use crate::unified::{Look, Pair, UNIFIED, look, open, refused, set_flags};
use anyhow::{Context as _, Result, bail, ensure};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Several of the chunks after which the copying looks for signals.
const LARGE: usize = (2 << 20) + 5000;

fn large(ground: &Ground, name: &str) -> Result<Pair> {
    ground.pair(name, |a| Ok(fs::write(a, content(LARGE))?))
}

/// Opens it once. A call that a signal interrupts is not begun again.
fn opener(pair: &Pair) -> Result<Child> {
    spawn(|| {
        let opened = handle(Signal::USR1, 0).and_then(|()| Ok(open(&pair.a, OFlags::RDWR)?));
        i32::from(opened.is_err())
    })
}

/// From now on a copy waits for the disk.
fn hold_up(pair: &Pair, ground: &Ground) -> Result<()> {
    ground.forget()?;
    // The name and its attributes are in memory, the content is not.
    vserver_abi::get_iattr(&pair.a)?;
    ground.disk()?.suspend()
}

/// Lets `signal` come while the copying waits for the disk.
fn interrupted(pair: &Pair, ground: &Ground, signal: Signal) -> Result<Status> {
    hold_up(pair, ground)?;
    let child = opener(pair)?;
    eventually("it waits for the disk", || state(child.id()) == Some('D'))?;
    child.kill(signal)?;
    ground.disk()?.resume()?;
    child.wait()
}

/// The copy is given up.
pub fn killed_in_the_copy() -> Result<()> {
    let ground = Ground::new()?.copying();
    let pair = large(&ground, "killed")?;
    let account = ground.account()?;
    let status = interrupted(&pair, &ground, Signal::KILL)?;
    ensure!(status == Status::Killed(libc::SIGKILL), "{status:?}");
    // Where blocks are shared there is nothing to look for signals between.
    if !old_or_new(&pair)? {
        ensure!(ground.reflinks(), "copied for nobody");
        return Ok(());
    }
    ground.nothing_leaked(&account, LARGE as u64)?;
    open(&pair.a, OFlags::RDWR)?;
    pair.broken_alike()
}

/// Who handles a signal has it handled when the file is open: the copying goes on, or who gets them
/// all the time would never come to an end.
pub fn signal_in_the_copy() -> Result<()> {
    let ground = Ground::new()?.copying();
    let pair = large(&ground, "signal")?;
    let status = interrupted(&pair, &ground, Signal::USR1)?;
    ensure!(status == Status::Exited(0), "{status:?}");
    pair.broken_alike()
}

/// Opens it in a process that may not write so much itself: a kernel thread copies.
fn opener_without_leave(pair: &Pair) -> Result<Child> {
    spawn(|| {
        let little = Some(4096);
        let limit = Rlimit {
            current: little,
            maximum: little,
        };
        let opened = setrlimit(Resource::Fsize, limit).and_then(|()| open(&pair.a, OFlags::WRONLY));
        i32::from(opened.is_err())
    })
}

/// Who waits so for long is held up.
const A_WHILE: Duration = Duration::from_millis(200);

fn stays(child: &Child, letter: char) -> bool {
    let is = || state(child.id()) == Some(letter);
    is() && {
        std::thread::sleep(A_WHILE);
        is()
    }
}

/// The kernel's thread that copies.
fn copier() -> Result<u32> {
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Ok(pid) = name.to_string_lossy().parse() else {
            continue;
        };
        let comm = fs::read_to_string(format!("/proc/{pid}/comm"));
        if comm.is_ok_and(|comm| comm.trim_end() == "vserver_copy") {
            return Ok(pid);
        }
    }
    bail!("no thread copies")
}

/// The flags of a task, as the kernel has them.
fn task_flags(pid: u32) -> Result<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let rest = stat.rsplit_once(") ").context("stat")?.1;
    Ok(rest.split(' ').nth(6).context("no flags")?.parse()?)
}

/// The machine can sleep meanwhile: who waits for the thread that copies, and who waits for him to open
/// the same name or to make the file an ordinary one, are stopped and go on after it. The thread itself
/// must be stopped, too, lest it write on while the image of a hibernation is made: here it can't, as
/// it waits for the disk, so nobody sleeps.
pub fn suspend_in_the_copy() -> Result<()> {
    const PF_NOFREEZE: u32 = 0x8000;
    // The journal's thread writes when it is asked to, or can't be stopped while it waits.
    let ground = Ground::with("commit=600")?;
    let pair = large(&ground, "suspend")?;
    hold_up(&pair, &ground)?;
    let first = opener_without_leave(&pair)?;
    eventually("one waits for the copy", || stays(&first, 'I'))?;
    let second = opener_without_leave(&pair)?;
    eventually("another one waits for him", || stays(&second, 'D'))?;
    let third = spawn(|| i32::from(set_flags(&pair.b, 0, UNIFIED).is_err()))?;
    eventually("so does the host", || stays(&third, 'D'))?;
    ensure!(task_flags(copier()?)? & PF_NOFREEZE == 0, "it copies on");
    let log = log_end()?;
    let suspended = OnlyFreezer::new()?.suspend_within(Duration::from_secs(5));
    let said = logged(&log, &["Freezing "])?;
    ensure!(suspended.is_err(), "the thread is no hindrance: {said:?}");
    for what in ["user space processes completed", "(1 tasks refusing"] {
        ensure!(said.iter().any(|line| line.contains(what)), "{said:?}");
    }
    ensure!(
        stays(&first, 'I') && stays(&second, 'D') && stays(&third, 'D'),
        "nothing was held up"
    );
    ground.disk()?.resume()?;
    for child in [first, second, third] {
        ensure!(child.wait()? == Status::Exited(0));
    }
    let (a, b) = (look(&pair.a)?, look(&pair.b)?);
    for (is, ino) in [(&a, a.ino), (&b, pair.before.ino)] {
        let want = Look {
            ino,
            flags: 0,
            ..pair.before.clone()
        };
        ensure!(*is == want, "is {is:?}, should be {want:?}");
    }
    ensure!(a.ino != b.ino, "not broken");
    Ok(())
}

/// Where the disk answers the thread is stopped, and goes on later.
pub fn suspend_while_it_is_copied() -> Result<()> {
    let ground = Ground::new()?;
    let pair = ground.pair("suspended", |a| Ok(fs::write(a, content(16 << 20))?))?;
    let first = opener_without_leave(&pair)?;
    OnlyFreezer::new()?.suspend()?;
    ensure!(first.wait()? == Status::Exited(0));
    pair.broken_alike()
}

/// Killed at any moment: the old file or the whole new one, and nothing else is left.
pub fn killed_at_any_moment() -> Result<()> {
    const ROUNDS: u32 = 8;
    let ground = Ground::new()?;
    let pair = large(&ground, "any_moment")?;
    let account = ground.account()?;
    let start = Instant::now();
    opener(&pair)?.wait()?;
    let whole = start.elapsed();
    pair.broken_alike()?;
    link_again(&pair)?;

    for round in 0..ROUNDS {
        let child = opener(&pair)?;
        std::thread::sleep(whole * round / ROUNDS);
        child.kill(Signal::KILL)?;
        let status = child.wait()?;
        if !old_or_new(&pair).with_context(|| format!("round {round}: {status:?}"))? {
            link_again(&pair)?;
        }
    }
    ground.nothing_leaked(&account, LARGE as u64)
}

/// A control group with `max` bytes of memory; removed when dropped.
struct Group(&'static Path);

impl Group {
    fn new(max: &str) -> Result<Self> {
        let parent = Path::new("/sys/fs/cgroup");
        fs::write(parent.join("cgroup.subtree_control"), "+memory")?;
        let this = Self(Path::new("/sys/fs/cgroup/faults"));
        fs::create_dir(this.0)?;
        fs::write(this.0.join("memory.max"), max)?;
        Ok(this)
    }

    fn enter(&self) -> Result<()> {
        Ok(fs::write(self.0.join("cgroup.procs"), "0")?)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A process that has been waited for may be in it for a moment still.
        let start = Instant::now();
        while fs::remove_dir(self.0).is_err() && start.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Who breaks the link has less memory than the copy takes.
fn little_memory() -> Result<(Ground, Pair, Status)> {
    let ground = Ground::new()?;
    let pair = large(&ground, "memory")?;
    let account = ground.account()?;
    let group = Group::new("1536K")?;
    let child = spawn(|| match group.enter() {
        Ok(()) => match open(&pair.a, OFlags::RDWR) {
            Ok(_) => 0,
            Err(Errno::NOMEM) => 1,
            Err(e) => {
                println!("# {e}");
                2
            }
        },
        Err(_) => 3,
    })?;
    let status = child.wait()?;
    if status != Status::Exited(0) {
        ground.nothing_leaked(&account, LARGE as u64)?;
    }
    Ok((ground, pair, status))
}

/// Where the copy is in memory there is not enough, and the copying process is killed for it.
pub fn out_of_group_memory() -> Result<()> {
    let (_ground, pair, status) = little_memory()?;
    match status {
        Status::Killed(libc::SIGKILL) | Status::Exited(1) => pair.intact(),
        status => bail!("{status:?}"),
    }
}

/// On a disk the copy is written out instead, or that fails too.
pub fn little_group_memory() -> Result<()> {
    let (_ground, pair, status) = little_memory()?;
    match status {
        Status::Exited(0) => pair.broken_alike(),
        Status::Killed(libc::SIGKILL) | Status::Exited(1) => pair.intact(),
        status => bail!("{status:?}"),
    }
}

/// Whoever gets no descriptor gets no copy either.
pub fn no_descriptor() -> Result<()> {
    let _ground = Ground::new()?;
    let pair = Pair::new("descriptor")?;
    isolated(|| {
        let limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: `limit` is valid for the call.
        ensure!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } == 0);
        for flags in [OFlags::RDWR, OFlags::WRONLY | OFlags::TRUNC] {
            refused("open", open(&pair.a, flags), Errno::MFILE)?;
        }
        Ok(())
    })?;
    pair.intact()
}
