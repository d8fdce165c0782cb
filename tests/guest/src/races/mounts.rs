// SPDX-License-Identifier: GPL-2.0
//! Breaks against what happens to the mount and to the breaker's view of it: the break is done, or
//! refused for that very reason with nothing changed.

use super::race::{Race, race_until};
use super::shared::{DONE_OR_GONE, How, Shared, place};
use super::worker::Worker;
use crate::process::{Status, spawn};
use crate::unified::*;
use anyhow::{Context as _, Result, bail, ensure};
use rustix::fd::{AsRawFd as _, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change,
    mount_remount, unmount,
};
use rustix::thread::UnshareFlags;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use vserver_abi as abi;

/// Where mounts are nobody else's.
pub fn new_mount_namespace() -> Result<()> {
    abi::process::unshare(UnshareFlags::NEWNS)?;
    let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    Ok(mount_change("/", flags)?)
}

/// `a` as seen below another directory than the fixture's.
fn seen_below(shared: &Shared, top: &Path) -> Result<PathBuf> {
    Ok(top.join(shared.a.strip_prefix(&shared.dir)?))
}

/// What came of the modification: done, or refused for one of these reasons and not even begun.
fn judged(
    race: &mut Race,
    shared: &Shared,
    how: How,
    got: Result<u64, Errno>,
    reasons: &[Errno],
) -> Result<()> {
    if let Err(e) = got {
        ensure!(reasons.contains(&e), "{how:?}: {e:?}");
    }
    race.count_result(got);
    shared.consistent(&shared.a, how, got)?;
    shared.settled(&["in", "in/a"])
}

/// A lazy one, after which the path leads nowhere, or one that has to wait until nobody is there.
pub fn unmount_the_path() -> Result<()> {
    let shared = Shared::new("umount")?;
    let top = PathBuf::from("/tmp/races-umount");
    fs::create_dir_all(&top)?;
    race_until(DONE_OR_GONE, |race| {
        shared.renew()?;
        mount_bind(&shared.dir, &top)?;
        let how = race.pick(How::ALL)?;
        let a = seen_below(&shared, &top)?;
        let flags = race.pick(&[UnmountFlags::DETACH, UnmountFlags::empty()])?;
        let (got, done) = race.pair(|| how.run(&a), || unmount(&top, flags))?;
        match done {
            Ok(()) => {}
            Err(Errno::BUSY) if flags.is_empty() => unmount(&top, flags)?,
            Err(e) => bail!("umount: {e}"),
        }
        judged(race, &shared, how, got, &[Errno::NOENT, Errno::PERM])
    })
}

/// The file system itself goes away, as soon as the break lets go of it.
pub fn unmount_the_file_system() -> Result<()> {
    let Some(volume) = Volume::of_suite()? else {
        return vanish();
    };
    race_until(DONE_OR_GONE, |race| {
        let shared = Shared::new("shutdown")?;
        let how = race.pick(How::ALL)?;
        let flags = race.pick(&[UnmountFlags::DETACH, UnmountFlags::empty()])?;
        let (got, done) = race.pair(|| how.run(&shared.a), || unmount(&volume.place, flags))?;
        match done {
            Ok(()) => volume.mount()?,
            Err(Errno::BUSY) if flags.is_empty() => race.count("busy"),
            Err(e) => bail!("umount: {e}"),
        }
        judged(race, &shared, how, got, &[Errno::NOENT, Errno::PERM])
    })
}

/// The same where nothing outlives the mount.
fn vanish() -> Result<()> {
    let top = PathBuf::from("/tmp/races-tmpfs");
    fs::create_dir_all(&top)?;
    race_until(DONE_OR_GONE, |race| {
        mount("races", &top, "tmpfs", MountFlags::empty(), None)?;
        let shared = Shared::at(&top.join("shared"))?;
        let how = race.pick(How::ALL)?;
        let (got, done) = race.pair(
            || how.run(&shared.a),
            || unmount(&top, UnmountFlags::DETACH),
        )?;
        done?;
        race.count_result(got);
        match got {
            Ok(ino) => ensure!(ino != shared.before.ino, "{how:?}: the shared inode"),
            Err(Errno::NOENT | Errno::PERM) => {}
            Err(e) => bail!("{how:?}: {e:?}"),
        }
        Ok(())
    })
}

/// The suite's disk, which is mounted again at the end in any case.
struct Volume {
    device: String,
    kind: String,
    place: PathBuf,
}

impl Volume {
    fn of_suite() -> Result<Option<Self>> {
        let place = place()?;
        let kind = place
            .file_name()
            .context("no name")?
            .to_string_lossy()
            .into_owned();
        let device = std::env::var(format!("DISK_{}", kind.to_uppercase().replace('-', "_"))).ok();
        Ok(device.map(|device| Self {
            device,
            kind,
            place,
        }))
    }

    fn mount(&self) -> Result<()> {
        let flags = MountFlags::empty();
        let fs = self.kind.split('-').next().unwrap_or_default();
        mount(&*self.device, &self.place, fs, flags, None).context("mount")
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Busy with itself if it is mounted.
        if fs::read_dir(&self.place).is_ok_and(|mut names| names.next().is_none()) {
            let _ = self.mount();
        }
    }
}

/// Of the file system or of the mount alone. Nothing changes once it has succeeded.
pub fn remount_read_only() -> Result<()> {
    let root = place()?;
    race_with_read_only(How::ALL, |race, top| {
        let places: [(&Path, _); 2] = [(&root, MountFlags::empty()), (top, MountFlags::BIND)];
        let (place, flags) = race.pick(&places)?;
        Ok((
            move || mount_remount(place, flags | MountFlags::RDONLY, ""),
            move || mount_remount(place, flags, ""),
        ))
    })
}

/// A copy lacks already what is cut off: such a truncation is not refused any more. To freeze the
/// file system holds it up just before it is done.
pub fn truncate_or_read_only() -> Result<()> {
    let fd = open(&place()?, OFlags::RDONLY)?;
    let freezes = freezable()?;
    race_with_read_only(&[How::Empty, How::Truncate], |_, top| {
        let fd = &fd;
        Ok((
            move || {
                if freezes {
                    control(fd, FIFREEZE)?;
                }
                let done = mount_remount(top, MountFlags::BIND | MountFlags::RDONLY, "");
                if freezes {
                    control(fd, FITHAW)?;
                }
                done
            },
            move || mount_remount(top, MountFlags::BIND, ""),
        ))
    })
}

/// `ways` says how it becomes read-only, and how that is undone.
fn race_with_read_only<'a, To, Back>(
    hows: &[How],
    ways: impl Fn(&mut Race, &'a Path) -> Result<(To, Back)>,
) -> Result<()>
where
    To: FnOnce() -> Result<(), Errno> + Send,
    Back: FnOnce() -> Result<(), Errno>,
{
    let shared = Shared::new("remount")?;
    let top = Path::new("/tmp/races-remount");
    fs::create_dir_all(top)?;
    mount_bind(&shared.dir, top)?;
    let a = seen_below(&shared, top)?;
    let done = race_until(&["done", "ReadOnlyFilesystem"], |race| {
        shared.renew()?;
        let how = race.pick(hows)?;
        let (to, back) = ways(race, top)?;
        let (got, done) = race.pair(|| how.run(&a), to)?;
        let still = look(&shared.a)?.ino;
        back()?;
        match done {
            Ok(()) => ensure!(look(&shared.a)?.ino == still, "changed while read-only"),
            Err(Errno::BUSY) => race.count("busy"),
            Err(e) => bail!("remount: {e}"),
        }
        // The link is broken before the operation asks for write access: what it then refuses may
        // have a copy, but one that nothing was done to.
        if got == Err(Errno::ROFS) && still != shared.before.ino {
            race.count("copied");
            shared.copied(&shared.a)?;
            return shared.settled(&["in", "in/a"]);
        }
        judged(race, &shared, how, got, &[Errno::ROFS])
    });
    unmount(top, UnmountFlags::empty())?;
    done
}

const FIFREEZE: u64 = 0xc004_5877;
const FITHAW: u64 = 0xc004_5878;

/// Freezes or thaws a file system.
fn control(fd: &OwnedFd, request: u64) -> Result<(), Errno> {
    // SAFETY: neither request reads its argument.
    syscall(unsafe { libc::ioctl(fd.as_raw_fd(), request as _, 0) }.into()).map(drop)
}

/// Whether the file system under test can be frozen.
fn freezable() -> Result<bool> {
    Ok(!place()?.ends_with("tmpfs"))
}

/// 5: who freezes never waits for the copying, and nothing changes until the thaw.
pub fn freeze() -> Result<()> {
    let shared = Shared::new("freeze")?;
    let fd = open(&place()?, OFlags::RDONLY)?;
    if !freezable()? {
        return refused("FIFREEZE", control(&fd, FIFREEZE), Errno::OPNOTSUPP);
    }
    race_until(&["begun when frozen", "begun before or after"], |race| {
        shared.renew()?;
        let how = race.pick(How::ALL)?;
        let inode = || rustix::fs::stat(&shared.a).map(|stat| stat.st_ino);
        let frozen = AtomicBool::new(false);
        let ((begun, got), still) = race.held(
            || (frozen.load(Ordering::SeqCst), how.run(&shared.a)),
            || {
                control(&fd, FIFREEZE).context("freeze")?;
                let first = inode();
                frozen.store(true, Ordering::SeqCst);
                Ok(first)
            },
            |first| {
                let last = inode();
                frozen.store(false, Ordering::SeqCst);
                control(&fd, FITHAW).context("thaw")?;
                Ok(first? == last?)
            },
        )?;
        ensure!(still, "{how:?}: changed while frozen");
        race.count(match begun {
            true => "begun when frozen",
            false => "begun before or after",
        });
        judged(race, &shared, how, got, &[])
    })
}

/// 25: a mount that another namespace puts on the name meanwhile is not lost.
pub fn mount_on_the_name() -> Result<()> {
    let shared = Shared::new("mount_on")?;
    let other = shared.dir.join("other");
    fs::write(&other, b"other")?;
    let ino = look(&other)?.ino;
    // Whether the mount is there, from the first time to the second.
    let mut mounted = None;
    let elsewhere = Worker::new(new_mount_namespace, || {
        match mounted.take() {
            None => match mount_bind(&other, &shared.a) {
                // It was about to be replaced.
                Err(Errno::NOENT) => mounted = Some(false),
                done => mounted = Some(done.map(|()| true)?),
            },
            Some(false) => {}
            Some(true) => {
                for _ in 0..5 {
                    let now = rustix::fs::stat(&shared.a)?.st_ino;
                    ensure!(now == ino, "the mount has gone");
                    std::thread::sleep(Duration::from_micros(300));
                }
                unmount(&shared.a, UnmountFlags::empty())?;
            }
        }
        Ok(())
    })?;
    race_until(&["done", "ResourceBusy"], |race| {
        shared.renew()?;
        let how = race.pick(How::ALL)?;
        let (got, ()) = race.around(
            || how.run(&shared.a),
            || elsewhere.work(),
            |()| elsewhere.work(),
        )?;
        judged(race, &shared, how, got, &[Errno::BUSY])
    })
}

/// What a process of its own, which may lose its root meanwhile, made of the modification.
fn in_a_jail(
    race: &mut Race,
    shared: &Shared,
    prepare: impl FnOnce() -> Result<PathBuf>,
    leave: impl FnOnce() -> std::io::Result<()> + Send,
) -> Result<()> {
    let how = race.pick(How::ALL)?;
    let child = spawn(|| {
        let run = || -> Result<Result<u64, Errno>> {
            let a = prepare()?;
            let (got, left) = race.pair(|| how.run(&a), leave)?;
            left?;
            Ok(got)
        };
        match run() {
            Ok(Ok(_)) => 0,
            Ok(Err(e)) => e.raw_os_error(),
            Err(e) => {
                println!("# {e:#}");
                255
            }
        }
    })?;
    let got = match child.wait()? {
        Status::Exited(0) => Ok(0),
        Status::Exited(code) if code < 255 => Err(Errno::from_raw_os_error(code)),
        status => bail!("{how:?}: {status:?}"),
    };
    judged(race, shared, how, got, &[Errno::NOENT, Errno::PERM])
}

/// The breaker's other threads share its root: where the name is not below that any more, it may
/// be another guest's.
pub fn change_root() -> Result<()> {
    let shared = Shared::new("chroot")?;
    let jail = shared.dir.join("jail");
    fs::create_dir(&jail)?;
    race_until(DONE_OR_GONE, |race| {
        shared.renew()?;
        let a = shared.a.clone();
        let leave = || std::os::unix::fs::chroot(&jail);
        in_a_jail(race, &shared, || Ok(a), leave)
    })
}

/// As a container's start does it, in a mount namespace that then ends with the process.
pub fn pivot_the_root() -> Result<()> {
    let shared = Shared::new("pivot")?;
    fs::create_dir_all(shared.dir.join("new/old"))?;
    race_until(DONE_OR_GONE, |race| {
        shared.renew()?;
        let prepare = || {
            new_mount_namespace()?;
            mount_bind(&shared.dir, &shared.dir)?;
            std::os::unix::fs::chroot(&shared.dir)?;
            std::env::set_current_dir("/")?;
            mount_bind("/new", "/new")?;
            seen_below(&shared, Path::new("/"))
        };
        let leave = || {
            rustix::process::pivot_root("/new", "/new/old")?;
            Ok(unmount("/old", UnmountFlags::DETACH)?)
        };
        in_a_jail(race, &shared, prepare, leave)
    })
}
