// SPDX-License-Identifier: GPL-2.0
//! Signals, handled ones, to who waits for a lease or delegation before a name gets its copy: the call
//! is interrupted as that of a plain file, and nothing has happened. Who waits is seen where the kernel
//! has him sleep, so nothing depends on time.

use super::leases::{Hold, Sigio};
use super::shared::{How, PAST, Shared};
use crate::process::{Child, Status, eventually, handle, spawn, state};
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use vserver_abi as abi;

/// What is called, on the name `a`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Modify(How),
    /// By a descriptor: the name goes to the equal file.
    Unify,
    /// By a descriptor.
    Deunify,
}

/// Of what something is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Directory,
    /// By another guest's name if it is unified.
    File,
    /// The file that the name may go to.
    Equal,
}

/// Who waits for what is held: of those who call it on a name of a unified file, and on a plain one.
struct Row {
    hold: Hold,
    of: Of,
    unified: fn(Call) -> bool,
    plain: fn(How) -> bool,
}

const TABLE: &[Row] = &[
    // A name is replaced in it; a plain file only changes.
    Row {
        hold: Hold::Delegation,
        of: Of::Directory,
        unified: |_| true,
        plain: |_| false,
    },
    // The file loses a name; a plain one changes.
    Row {
        hold: Hold::Delegation,
        of: Of::File,
        unified: |_| true,
        plain: |_| true,
    },
    // The file gets a name.
    Row {
        hold: Hold::Delegation,
        of: Of::Equal,
        unified: |call| call == Call::Unify,
        plain: |_| false,
    },
    // Nobody modifies the content; that of a unified file never changes.
    Row {
        hold: Hold::Lease(libc::F_RDLCK),
        of: Of::File,
        unified: |_| false,
        plain: writes,
    },
    // Nobody reads it: who copies does, and who opens it for reading. Of what is to be empty nothing
    // is copied. With descriptors there is no such lease: the file is open for reading.
    Row {
        hold: Hold::Lease(libc::F_WRLCK),
        of: Of::File,
        unified: |call| call != Call::Modify(How::Empty),
        plain: |how| writes(how) || how == How::Descriptor,
    },
];

fn writes(how: How) -> bool {
    matches!(how, How::Append | How::Empty | How::Truncate)
}

/// Where the kernel waits for leases and delegations,
const LEASE: &str = "__break_lease";
/// and for who breaks the link of the same name and waits himself.
const BREAK: &str = "vserver_renewal_begin";

/// Waits until the child sleeps at one of these places, or has exited; whether it sleeps.
fn sleeps(child: &Child, places: &[&str]) -> Result<bool> {
    let wchan = format!("/proc/{}/wchan", child.id());
    let mut ended = false;
    eventually("it waits, or is done", || {
        ended = state(child.id()) == Some('Z');
        ended || fs::read_to_string(&wchan).is_ok_and(|place| places.contains(&&*place))
    })?;
    Ok(!ended)
}

/// Whether a signal has been sent to the process that it has not got.
fn is_pending(child: &Child) -> Result<bool> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id()))?;
    let pending = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
    Ok(u64::from_str_radix(pending.context("ShdPnd")?.trim(), 16)? != 0)
}

/// The files of a case.
struct Ground {
    shared: Shared,
    /// A unified file that the name may go to.
    equal: PathBuf,
    plain: bool,
}

impl Ground {
    fn new(plain: bool) -> Result<Self> {
        let shared = Shared::new("signals")?;
        let equal = shared.dir.join("equal");
        fs::copy(&shared.b, &equal)?;
        set_times(&equal, PAST)?;
        if plain {
            fs::remove_file(&shared.a)?;
            fs::copy(&equal, &shared.a)?;
            set_times(&shared.a, PAST)?;
        }
        set_flags(&equal, UNIFIED, UNIFIED)?;
        Ok(Self {
            shared,
            equal,
            plain,
        })
    }

    /// The path by which it is held.
    fn path(&self, of: Of) -> &Path {
        match of {
            Of::Directory => &self.shared.inner,
            Of::File if self.plain => &self.shared.a,
            Of::File => &self.shared.b,
            Of::Equal => &self.equal,
        }
    }

    /// The call, with its descriptors.
    fn prepare(&self, call: Call) -> Result<Box<dyn Fn() -> Result<(), Errno> + '_>> {
        let a = &self.shared.a;
        let open = |path: &Path| open(path, OFlags::RDONLY);
        Ok(match call {
            Call::Modify(how) => Box::new(move || how.run(a).map(drop)),
            Call::Unify => {
                let (old, new) = (open(a)?, open(&self.equal)?);
                Box::new(move || abi::unify(&old, &new))
            }
            Call::Deunify => {
                let fd = open(a)?;
                Box::new(move || abi::deunify(&fd))
            }
        })
    }

    /// What there is to see of the name and the equal file without opening them, and the names.
    fn seen(&self) -> Result<impl PartialEq + std::fmt::Debug + use<>> {
        let ino = fs::symlink_metadata(&self.shared.a)?.ino();
        let names = fs::read_dir(&self.shared.inner)?
            .map(|entry| Ok(entry?.file_name()))
            .collect::<Result<Vec<_>>>()?;
        let equal = fs::symlink_metadata(&self.equal)?.nlink();
        Ok((ino, change(&self.shared.a)?, names, equal))
    }

    /// It was done, once, and nothing else.
    fn done(&self, call: Call) -> Result<()> {
        let a = &self.shared.a;
        match call {
            Call::Modify(how) => self.shared.modified(a, how)?,
            Call::Unify => ensure!(look(a)? == look(&self.equal)?, "another file"),
            Call::Deunify => self.shared.copied(a)?,
        }
        self.shared.settled(&["in", "in/a"])
    }
}

/// A call while something is held, which may hold it up.
struct Case<'a> {
    ground: &'a Ground,
    row: &'a Row,
    call: Call,
    holder: OwnedFd,
    run: Box<dyn Fn() -> Result<(), Errno> + 'a>,
}

impl<'a> Case<'a> {
    /// `None` if it can't be held, because of the call.
    fn new(ground: &'a Ground, row: &'a Row, call: Call) -> Result<Option<Self>> {
        let holder = open(ground.path(row.of), OFlags::RDONLY)?;
        let run = ground.prepare(call)?;
        match (row.hold, call) {
            (Hold::Lease(libc::F_WRLCK), Call::Unify | Call::Deunify) => {
                expect(row.hold.take(holder.as_fd()), Errno::AGAIN)?;
                return Ok(None);
            }
            _ => row.hold.take(holder.as_fd()).context("to hold it")?,
        }
        Ok(Some(Self {
            ground,
            row,
            call,
            holder,
            run,
        }))
    }

    /// Somebody who does it, and handles the signal.
    fn start(&self, flags: libc::c_int) -> Result<Child> {
        spawn(|| {
            if handle(Signal::USR1, flags).is_err() {
                return libc::EBADE;
            }
            match (self.run)() {
                Ok(()) => 0,
                // What is no errno for user space does not pass for one.
                Err(e) => e.raw_os_error().min(255),
            }
        })
    }

    /// One who does it and waits; `None` if he is done at once, as he has to be.
    fn waiter(&self, flags: libc::c_int) -> Result<Option<Child>> {
        let waits = match self.call {
            Call::Modify(how) if self.ground.plain => (self.row.plain)(how),
            call => (self.row.unified)(call),
        };
        let child = self.start(flags)?;
        if sleeps(&child, &[LEASE])? {
            ensure!(waits, "it waits");
            return Ok(Some(child));
        }
        let status = child.wait()?;
        ensure!(status == Status::Exited(0), "{status:?}");
        ensure!(!waits, "it did not wait");
        self.give_back()?;
        self.ground.done(self.call)?;
        Ok(None)
    }

    fn give_back(&self) -> Result<()> {
        Ok(self.row.hold.give_back(self.holder.as_fd())?)
    }

    /// As nothing is in the way any more, it is done.
    fn ends(&self, child: Child) -> Result<()> {
        self.give_back()?;
        let status = child.wait()?;
        ensure!(status == Status::Exited(0), "at last: {status:?}");
        self.ground.done(self.call)
    }
}

fn each(case: impl Fn(&Case<'_>) -> Result<()>) -> Result<()> {
    let _sigio = Sigio::block();
    let modified = How::ALL.iter().copied().map(Call::Modify);
    for call in modified.chain([Call::Unify, Call::Deunify]) {
        for plain in [false, true] {
            // The others are for unified files only.
            if plain && !matches!(call, Call::Modify(_)) {
                continue;
            }
            for row in TABLE {
                let ground = Ground::new(plain)?;
                let made = Case::new(&ground, row, call);
                made.and_then(|made| made.map_or(Ok(()), |made| case(&made)))
                    .with_context(|| {
                        format!("{:?} of {:?}, {call:?}, plain {plain}", row.hold, row.of)
                    })?;
            }
        }
    }
    Ok(())
}

/// Everything is as before, and another one who came to the same name meanwhile waits in his turn
/// and has his way in the end.
pub fn interrupted_while_held() -> Result<()> {
    each(|case| {
        let before = case.ground.seen()?;
        let Some(first) = case.waiter(0)? else {
            return Ok(());
        };
        let second = case.start(0)?;
        ensure!(sleeps(&second, &[LEASE, BREAK])?, "the second did not wait");
        first.kill(Signal::USR1)?;
        let status = first.wait()?;
        ensure!(status == Status::Exited(libc::EINTR), "{status:?}");
        ensure!(
            sleeps(&second, &[LEASE])?,
            "the second: {:?}",
            second.wait()
        );
        let seen = case.ground.seen()?;
        ensure!(seen == before, "{seen:?} instead of {before:?}");
        case.ends(second)
    })
}

/// Who has calls begun anew waits again.
pub fn begun_anew_while_held() -> Result<()> {
    each(|case| {
        let Some(child) = case.waiter(libc::SA_RESTART)? else {
            return Ok(());
        };
        child.kill(Signal::USR1)?;
        eventually("the signal", || is_pending(&child).is_ok_and(|is| !is))?;
        ensure!(sleeps(&child, &[LEASE])?, "{:?}", child.wait());
        case.ends(child)
    })
}
