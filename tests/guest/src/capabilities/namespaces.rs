// SPDX-License-Identifier: GPL-2.0
//! Namespaces of others, which the kernel tells of, and gives, by numbers and handles.

use super::XID;
use crate::harness::Test;
use crate::namespace::new_mounts;
use crate::process::isolated;
use crate::tests;
use crate::unified::{refused, syscall};
use anyhow::{Context as _, Result, ensure};
use rustix::fd::{AsRawFd as _, OwnedFd};
use rustix::fs::{self as rfs, Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::UnshareFlags;
use vserver_abi as abi;

pub(super) const TESTS: &[Test] = tests![
    list_of_namespaces,
    mounts_of_a_namespace_by_its_number,
    mount_namespace_after_ones_own,
    namespace_by_its_handle,
];

const SYS_STATMOUNT: libc::c_long = 457;
const SYS_LISTMOUNT: libc::c_long = 458;
const SYS_LISTNS: libc::c_long = 470;
const NS_GET_ID: u64 = 0x8008_b70d;
const NS_MNT_GET_NEXT: u64 = 0x8010_b70b;
const FD_NSFS_ROOT: i32 = -10003;

/// A namespace of the caller's.
fn own(kind: &str) -> Result<OwnedFd> {
    let path = format!("/proc/self/ns/{kind}");
    Ok(rfs::open(path, OFlags::RDONLY, Mode::empty())?)
}

fn number(namespace: &OwnedFd) -> Result<u64> {
    let mut id = 0u64;
    // SAFETY: the command writes a number of eight bytes.
    syscall(unsafe {
        libc::syscall(
            libc::SYS_ioctl,
            namespace.as_raw_fd(),
            NS_GET_ID,
            &raw mut id,
        )
    })?;
    Ok(id)
}

/// A UTS namespace that is not the caller's, and which one it is.
fn other() -> Result<(OwnedFd, u64)> {
    let home = own("uts")?;
    abi::process::unshare(UnshareFlags::NEWUTS)?;
    let other = own("uts")?;
    rustix::thread::move_into_link_name_space(rustix::fd::AsFd::as_fd(&home), None)?;
    let id = number(&other)?;
    Ok((other, id))
}

/// Whether listns(2) has a UTS namespace.
fn lists(id: u64) -> Result<bool> {
    // struct ns_id_req: size; after which; kind; of which users
    let request = [32u64, 0, u64::from(UnshareFlags::NEWUTS.bits()), 0];
    let mut ids = [0u64; 64];
    // SAFETY: the structure has 32 bytes, the list has room for 64 numbers.
    let len = syscall(unsafe {
        libc::syscall(SYS_LISTNS, request.as_ptr(), ids.as_mut_ptr(), ids.len(), 0)
    })
    .context("listns")?;
    let len = usize::try_from(len)?;
    Ok(ids.iter().take(len).any(|found| *found == id))
}

fn list_of_namespaces() -> Result<()> {
    isolated(|| {
        let (_hold, other) = other()?;
        let mine = number(&own("uts")?)?;
        ensure!(lists(other)? && lists(mine)?, "on the host");
        abi::ctx_create(XID, 0)?;
        ensure!(!lists(other)?, "another one");
        ensure!(lists(mine)?, "its own");
        Ok(())
    })
}

/// struct mnt_id_req of all mounts of a namespace
fn request(namespace: u64) -> [u64; 4] {
    [32, u64::MAX, 1, namespace]
}

fn list_mounts(namespace: u64) -> Result<(), Errno> {
    let (mut asked, mut ids) = (request(namespace), [0u64; 8]);
    asked[2] = 0;
    // SAFETY: the structure has 32 bytes, the list has room for eight numbers.
    syscall(unsafe { libc::syscall(SYS_LISTMOUNT, asked.as_ptr(), ids.as_mut_ptr(), 8, 0) })
        .map(drop)
}

fn stat_mount(namespace: u64) -> Result<(), Errno> {
    let (asked, mut answer) = (request(namespace), [0u64; 512]);
    // SAFETY: the structure has 32 bytes, the answer has the room that is said.
    syscall(unsafe {
        libc::syscall(
            SYS_STATMOUNT,
            asked.as_ptr(),
            answer.as_mut_ptr(),
            size_of_val(&answer),
            0,
        )
    })
    .map(drop)
}

fn mounts_of_a_namespace_by_its_number() -> Result<()> {
    isolated(|| {
        let hosts = number(&own("mnt")?)?;
        new_mounts()?;
        let mine = number(&own("mnt")?)?;
        list_mounts(hosts).context("on the host")?;
        // There is no mount of that number.
        refused("on the host", stat_mount(hosts), Errno::NOENT)?;
        abi::ctx_create(XID, 0)?;
        refused("listmount", list_mounts(hosts), Errno::NOENT)?;
        refused("statmount", stat_mount(hosts), Errno::PERM)?;
        Ok(list_mounts(mine)?)
    })
}

fn mount_namespace_after_ones_own() -> Result<()> {
    let next = |namespace: &OwnedFd| {
        let mut info = [0u64; 2];
        // SAFETY: the command writes a structure of 16 bytes.
        let ret = unsafe {
            libc::syscall(
                libc::SYS_ioctl,
                namespace.as_raw_fd(),
                NS_MNT_GET_NEXT,
                &raw mut info,
            )
        };
        syscall(ret).map(drop)
    };
    isolated(|| {
        let hosts = own("mnt")?;
        // So that there is one.
        new_mounts()?;
        next(&hosts).context("on the host")?;
        abi::ctx_create(XID, 0)?;
        refused("inside", next(&hosts), Errno::PERM)
    })
}

fn namespace_by_its_handle() -> Result<()> {
    // struct file_handle: length, type, the handle
    let handle_of = |namespace: &OwnedFd| -> Result<[u32; 34]> {
        let mut handle = [0u32; 34];
        handle[0] = 128;
        let mut mount = 0i32;
        // SAFETY: the name is a C string, the handle has room for the 128 bytes it says.
        syscall(unsafe {
            libc::syscall(
                libc::SYS_name_to_handle_at,
                namespace.as_raw_fd(),
                c"".as_ptr(),
                handle.as_mut_ptr(),
                &raw mut mount,
                libc::AT_EMPTY_PATH,
            )
        })
        .context("name_to_handle_at")?;
        Ok(handle)
    };
    let open = |handle: &mut [u32; 34]| {
        let at = handle.as_mut_ptr();
        // SAFETY: the handle is as long as it says.
        syscall(unsafe {
            libc::syscall(
                libc::SYS_open_by_handle_at,
                FD_NSFS_ROOT,
                at,
                libc::O_RDONLY,
            )
        })
        .map(drop)
    };
    isolated(|| {
        let (hold, _) = other()?;
        let (mut others, mut mine) = (handle_of(&hold)?, handle_of(&own("uts")?)?);
        open(&mut others).context("on the host")?;
        abi::ctx_create(XID, 0)?;
        refused("another one", open(&mut others), Errno::STALE)?;
        open(&mut mine).context("its own")
    })
}
