// SPDX-License-Identifier: GPL-2.0
//! dnotify: a signal for each event of a kind, and not which name it is about.

use super::changes::{LEAVE, MODIFY, compare, unheard_beside};
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fd::{AsRawFd as _, OwnedFd};
use rustix::fs::OFlags;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// DN_ACCESS to DN_ATTRIB; libc does not name them.
const KINDS: [(&str, u32); 6] = [
    ("access", 0x01),
    ("modify", 0x02),
    ("create", 0x04),
    ("delete", 0x08),
    ("rename", 0x10),
    ("attrib", 0x20),
];
const F_SETSIG: i32 = 10;
const DN_MULTISHOT: u32 = 0x8000_0000;

/// How often there was an event of each kind.
type Heard = BTreeMap<&'static str, usize>;

/// A directory that is watched for each kind, which has a descriptor and a signal of its own. Such
/// signals are queued; nobody but the test is there to take them.
struct Watch {
    _fds: Vec<OwnedFd>,
    signals: libc::sigset_t,
}

/// The first signal that is queued and that nobody uses.
fn first_signal() -> i32 {
    libc::SIGRTMIN() + 2
}

/// The signals of all kinds, which have to wait from now on.
fn block_signals() -> libc::sigset_t {
    // SAFETY: all zeroes are a valid value, and it is valid for the calls.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for (signal, _) in (first_signal()..).zip(KINDS) {
            libc::sigaddset(&raw mut set, signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        set
    }
}

fn watch(dir: &Path) -> Result<Watch> {
    let signals = block_signals();
    let mut fds = Vec::new();
    for (signal, (what, kind)) in (first_signal()..).zip(KINDS) {
        let fd = open(dir, OFlags::RDONLY | OFlags::DIRECTORY)?;
        for (call, arg) in [
            (F_SETSIG, u32::try_from(signal)?),
            (libc::F_NOTIFY, kind | DN_MULTISHOT),
        ] {
            // SAFETY: this passes no memory.
            let ret = unsafe { libc::fcntl(fd.as_raw_fd(), call, arg) };
            syscall(ret.into()).context(what)?;
        }
        fds.push(fd);
    }
    Ok(Watch { _fds: fds, signals })
}

fn heard(watch: &Watch) -> Result<Heard> {
    const AT_ONCE: libc::timespec = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut heard = Heard::new();
    loop {
        // SAFETY: the set and the time are valid, nobody wants more of the signal.
        let got = unsafe { libc::sigtimedwait(&watch.signals, std::ptr::null_mut(), &AT_ONCE) };
        if got < 0 {
            return Ok(heard);
        }
        let kind = usize::try_from(got - first_signal())?;
        let (what, _) = KINDS.get(kind).context("a signal of nobody")?;
        *heard.entry(what).or_default() += 1;
    }
}

pub(super) fn dnotify_of_the_directory() -> Result<()> {
    let of_the_directory = |path: &Path| watch(path.parent().context("no parent")?);
    something_is_heard()?;
    compare("dnotify_dir", MODIFY, of_the_directory, heard)?;
    compare("dnotify_dir", LEAVE, of_the_directory, heard)
}

/// Or all that is compared would be silence.
fn something_is_heard() -> Result<()> {
    let dir = root().join("dnotify_heard");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir(&dir)?;
    let watch = watch(&dir)?;
    let file = dir.join("file");
    fs::write(&file, CONTENT)?;
    fs::read(&file)?;
    set_times(
        &file,
        rustix::fs::Timespec {
            tv_sec: 77,
            tv_nsec: 0,
        },
    )?;
    fs::rename(&file, dir.join("other"))?;
    fs::remove_file(dir.join("other"))?;
    let heard = heard(&watch)?;
    drop(watch);
    ensure!(heard.len() == KINDS.len(), "{heard:?}");
    Ok(fs::remove_dir(dir)?)
}

/// Whoever watches the directory of another guest's name hears nothing at all.
pub(super) fn dnotify_of_another_name() -> Result<()> {
    unheard_beside("dnotify_other", watch, heard)
}
