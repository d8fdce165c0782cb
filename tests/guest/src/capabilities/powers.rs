// SPDX-License-Identifier: GPL-2.0
//! The table.

use super::{Power, Right, test};
use crate::calls::c_path;
use crate::escape::{count, join};
use crate::harness::Test;
use crate::namespace::new_mounts;
use crate::process;
use crate::tests;
use crate::unified::{refused, syscall};
use anyhow::{Context as _, Result, ensure};
use rustix::fd::AsFd as _;
use rustix::fs::{self as rfs, CWD, FileType, Mode, OFlags, XattrFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, OpenTreeFlags,
    UnmountFlags,
};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use vserver_abi as abi;

/// A table of tests: what root inside gets, then what the host's root gets if not success, and the
/// context capability that gives it to root inside.
macro_rules! powers {
    ($($name:ident $inside:ident $(($outside:ident))? $([$before:expr])? $(by $given:ident)?:
        $try_it:expr;)*) => {
        &[$(test(stringify!($name), &Power {
            inside: Errno::$inside,
            outside: powers!(@outside $($outside)?),
            given: 0 $(| abi::$given)?,
            before: powers!(@before $($before)?),
            try_it: || $try_it,
        })),*]
    };
    (@outside) => { None };
    (@outside $outside:ident) => { Some(Errno::$outside) };
    (@before) => { || Ok(()) };
    (@before $before:expr) => { $before };
}

macro_rules! rights {
    ($($name:ident $([$before:expr])?: $try_it:expr;)*) => {
        &[$(test(stringify!($name), &Right {
            before: powers!(@before $($before)?),
            try_it: || $try_it,
        })),*]
    };
}

const REFUSED: &[Test] = powers! {
    make_device_node PERM: make_node(FileType::CharacterDevice);
    make_block_node PERM: make_node(FileType::BlockDevice);
    open_disk PERM: open(disk(), OFlags::RDONLY);
    open_kernel_log_device PERM: open("/dev/kmsg", OFlags::RDONLY);
    open_console PERM: open("/dev/console", OFlags::WRONLY | OFlags::NOCTTY);
    load_module PERM (BADF): call(libc::SYS_finit_module, [-1, c"".as_ptr() as i64, 0, 0]);
    load_module_from_memory PERM (NOEXEC): call(libc::SYS_init_module, [[0u8; 64].as_ptr() as i64, 64, c"".as_ptr() as i64, 0]);
    unload_module PERM (NOENT): call(libc::SYS_delete_module, [c"nonexistent".as_ptr() as i64, 0x800, 0, 0]);
    unload_next_kernel PERM: call(libc::SYS_kexec_load, [0, 0, 0, 0]);
    unload_crash_kernel PERM: call(libc::SYS_kexec_load, [0, 0, 0, KEXEC_ON_CRASH]);
    unload_next_kernel_file PERM: kexec_file(KEXEC_FILE_UNLOAD);
    unload_crash_kernel_file PERM: kexec_file(KEXEC_FILE_UNLOAD | KEXEC_FILE_ON_CRASH);
    load_next_kernel PERM (BADF): kexec_file(0);
    set_time PERM: set_clock();
    set_timezone PERM: call(libc::SYS_settimeofday, [0, 0, 0, 0]);
    adjust_time PERM: adjust_time();
    ioperm PERM: call(libc::SYS_ioperm, [0x80, 1, 1, 0]);
    iopl PERM: call(libc::SYS_iopl, [3, 0, 0, 0]);
    sysctl_core_pattern ACCESS: open("/proc/sys/kernel/core_pattern", OFlags::WRONLY);
    sysctl_modprobe ACCESS: open("/proc/sys/kernel/modprobe", OFlags::WRONLY);
    sysctl_hostname ACCESS: open("/proc/sys/kernel/hostname", OFlags::WRONLY);
    sysctl_of_the_hosts_net ACCESS: open("/proc/sys/net/ipv4/ip_forward", OFlags::WRONLY);
    sysctl_of_the_hosts_ipc ACCESS: open("/proc/sys/kernel/shmmax", OFlags::WRONLY);
    sysctl_of_the_hosts_mq ACCESS: open("/proc/sys/fs/mqueue/msg_max", OFlags::WRONLY);
    sysctl_of_the_hosts_users ACCESS: open("/proc/sys/user/max_user_namespaces", OFlags::WRONLY);
    sysfs_to_write ACCESS: open("/sys/kernel/rcu_expedited", OFlags::WRONLY);
    sysfs_to_read_for_root ACCESS: open(pci_resource(), OFlags::RDONLY);
    sysfs_to_read_addresses ACCESS: open("/sys/module/vserver/sections/.text", OFlags::RDONLY);
    bpf_files ACCESS [|| new_mount_of("bpf")]: open("/mnt", OFlags::RDONLY);
    bpf_files_to_make ACCESS [|| new_mount_of("bpf")]: make_directory("/mnt/new");
    pstore ACCESS [|| new_mount_of("pstore")]: open("/mnt", OFlags::RDONLY);
    configfs_to_make ACCESS (PERM) [|| new_mount_of("configfs")]: rfs::mkdir("/mnt/new", Mode::RWXU);
    connections_of_fuse ACCESS (PERM) [|| new_mount_of("fusectl")]: rfs::mkdir("/mnt/new", Mode::RWXU);
    register_binary_format ACCESS (INVAL) [|| new_mount_of("binfmt_misc")]: write("/mnt/register", b"?");
    switch_binary_formats ACCESS [|| new_mount_of("binfmt_misc")]: write("/mnt/status", b"1");
    debugfs ACCESS: open("/sys/kernel/debug", OFlags::RDONLY);
    tracefs ACCESS: open("/sys/kernel/tracing/trace", OFlags::RDONLY);
    securityfs ACCESS: open("/sys/kernel/security/lsm", OFlags::RDONLY);
    mount_tmpfs PERM [new_mounts] by VXC_SECURE_MOUNT: mount("tmpfs", "/mnt");
    mount_proc PERM [new_mounts] by VXC_SECURE_MOUNT: mount("proc", "/mnt");
    mount_disk PERM [new_mounts]: rustix::mount::mount(disk(), "/mnt", "ext4", MountFlags::empty(), None);
    bind_mount PERM [new_mounts]: rustix::mount::mount_bind("/tmp", "/mnt");
    remount PERM [new_mounts]: rustix::mount::mount_remount("/tmp", MountFlags::empty(), "");
    change_propagation PERM [new_mounts]: rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE);
    move_mount PERM (INVAL) [new_mounts]: rustix::mount::mount_move("/proc/self", "/mnt");
    unmount PERM [new_mounts]: rustix::mount::unmount("/tmp", UnmountFlags::DETACH);
    fsopen PERM: rustix::mount::fsopen("tmpfs", FsOpenFlags::empty()).map(drop);
    fsmount PERM (INVAL): fsmount();
    open_tree PERM: rustix::mount::open_tree(CWD, "/tmp", OpenTreeFlags::OPEN_TREE_CLONE).map(drop);
    mount_setattr PERM (INVAL): mount_setattr();
    pivot_root PERM (INVAL): call(libc::SYS_pivot_root, [c"/proc/self".as_ptr() as i64, c"/proc/self".as_ptr() as i64, 0, 0]);
    host_name PERM: call(libc::SYS_sethostname, [c"host".as_ptr() as i64, 4, 0, 0]);
    domain_name PERM: call(libc::SYS_setdomainname, [c"(none)".as_ptr() as i64, 6, 0, 0]);
    kernel_log PERM by VXC_SYSLOG: syslog(3);
    kernel_log_size PERM by VXC_SYSLOG: syslog(10);
    kernel_log_level PERM: syslog(7);
    nice ACCESS: nice(-5);
    real_time PERM: real_time();
    swap_on PERM (NOENT): call(libc::SYS_swapon, [c"/nonexistent".as_ptr() as i64, 0, 0, 0]);
    swap_off PERM (NOENT): call(libc::SYS_swapoff, [c"/nonexistent".as_ptr() as i64, 0, 0, 0]);
    accounting PERM: call(libc::SYS_acct, [0, 0, 0, 0]);
    hang_up PERM: call(libc::SYS_vhangup, [0, 0, 0, 0]);
    file_handle PERM: open_by_handle();
    faults_of_the_kernel PERM: call(libc::SYS_userfaultfd, [0, 0, 0, 0]);
    netlink_of_other_networks PERM: listen_to_all();
    raw_socket PERM: socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP);
    packet_socket PERM: socket(libc::AF_PACKET, libc::SOCK_RAW, 0);
    trusted_attribute PERM by VXC_FS_TRUSTED: set_attribute("trusted.x");
    security_attribute PERM by VXC_FS_SECURITY: set_attribute("security.x");
    immutable_flag PERM: make_immutable();
    sysfs_attribute ACCESS: sysfs_attribute();
    sysfs_mode ACCESS: rfs::chmod("/sys/kernel/rcu_expedited", Mode::from_raw_mode(0o644));
    sysfs_owner ACCESS: rfs::chown("/sys/kernel/rcu_expedited", Some(rfs::Uid::ROOT), None);
    proc_mode PERM: rfs::chmod("/proc/uptime", Mode::from_raw_mode(0o444));
    proc_owner PERM: rfs::chown("/proc/uptime", Some(rfs::Uid::ROOT), None);
    quota_of_a_user PERM: set_quota();
    login_uid PERM [log_in] by VXC_AUDIT_CONTROL: set_login_uid();
    low_memory PERM: map_low();
    raise_limit PERM [lower_limit] by VXC_SET_RLIMIT: set_limit(200);
    oom_score ACCESS by VXC_OOM_ADJUST: oom_score();
    unshare_mounts PERM: unshare(UnshareFlags::NEWNS);
    unshare_users PERM: unshare(UnshareFlags::NEWUSER);
    unshare_uts PERM: unshare(UnshareFlags::NEWUTS);
    unshare_ipc PERM: unshare(UnshareFlags::NEWIPC);
    unshare_pids PERM: unshare(UnshareFlags::NEWPID);
    unshare_net PERM: unshare(UnshareFlags::NEWNET);
    unshare_cgroups PERM: unshare(UnshareFlags::NEWCGROUP);
    unshare_time PERM: unshare(UnshareFlags::NEWTIME);
    setns PERM: set_own_namespace("uts");
    setns_net PERM: set_own_namespace("net");
};

const ALLOWED: &[Test] = rights! {
    make_fifo: make_node(FileType::Fifo);
    make_whiteout: make_whiteout();
    open_null: open("/dev/null", OFlags::RDWR);
    open_zero: open("/dev/zero", OFlags::RDWR);
    open_full: open("/dev/full", OFlags::RDWR);
    open_random: open("/dev/random", OFlags::RDONLY);
    open_urandom: open("/dev/urandom", OFlags::RDONLY);
    open_terminals: open("/dev/ptmx", OFlags::RDWR | OFlags::NOCTTY);
    read_sysctl: open("/proc/sys/kernel/core_pattern", OFlags::RDONLY);
    read_sysfs: open("/sys/kernel/rcu_expedited", OFlags::RDONLY);
    sysctl_of_its_own_net [own_spaces]: open("/proc/sys/net/ipv4/ip_forward", OFlags::WRONLY);
    sysctl_of_its_own_ipc [own_spaces]: open("/proc/sys/kernel/shmmax", OFlags::WRONLY);
    chroot: rustix::process::chroot("/tmp");
    chown: chown();
    low_port: low_port();
    own_faults: call(libc::SYS_userfaultfd, [UFFD_USER_MODE_ONLY, 0, 0, 0]);
    user_attribute: set_attribute("user.x");
    read_time: call(libc::SYS_gettimeofday, [0, 0, 0, 0]);
    time_is_not_adjusted: call(libc::SYS_adjtimex, [[0u64; 26].as_mut_ptr() as i64, 0, 0, 0]);
};

const OTHERS: &[Test] = tests![modules_are_not_asked_for, memory_for_the_administrator];

const TABLES: &[&[Test]] = &[REFUSED, ALLOWED, OTHERS];

const JOINED: [Test; count(TABLES)] = join(TABLES);

pub(super) const TESTS: &[Test] = &JOINED;

/// A system call that is given numbers, and C strings and structures that outlive it.
fn call(number: libc::c_long, args: [i64; 4]) -> Result<(), Errno> {
    let [a, b, c, d] = args;
    // SAFETY: the callers pass what the call may read and write, or numbers.
    syscall(unsafe { libc::syscall(number, a, b, c, d) }).map(drop)
}

const KEXEC_ON_CRASH: i64 = 1;
const KEXEC_FILE_UNLOAD: i64 = 1;
const KEXEC_FILE_ON_CRASH: i64 = 2;
const UFFD_USER_MODE_ONLY: i64 = 1;

/// Loads a kernel from no file, or unloads one.
fn kexec_file(flags: i64) -> Result<(), Errno> {
    let line = c"";
    // SAFETY: the line has the one byte that is said.
    syscall(unsafe { libc::syscall(libc::SYS_kexec_file_load, -1, -1, 1, line.as_ptr(), flags) })
        .map(drop)
}

/// The memory of some device: what root can read there, and map.
fn pci_resource() -> PathBuf {
    let devices = fs::read_dir("/sys/bus/pci/devices").into_iter().flatten();
    devices
        .flatten()
        .flat_map(|device| (0..6).map(move |i| device.path().join(format!("resource{i}"))))
        .find(|path| path.exists())
        .unwrap_or_default()
}

fn new_mount_of(kind: &str) -> Result<()> {
    new_mounts()?;
    mount(kind, "/mnt").with_context(|| kind.to_owned())
}

fn make_directory(path: &str) -> Result<(), Errno> {
    rfs::mkdir(path, Mode::RWXU)?;
    rfs::rmdir(path)
}

/// A netlink socket that hears what is said in all network namespaces.
fn listen_to_all() -> Result<(), Errno> {
    const NETLINK_LISTEN_ALL_NSID: i32 = 8;
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::NETLINK,
        rustix::net::SocketType::RAW,
        None,
    )?;
    let on = 1i32;
    // SAFETY: the option is a number of four bytes.
    syscall(unsafe {
        libc::syscall(
            libc::SYS_setsockopt,
            std::os::fd::AsRawFd::as_raw_fd(&socket),
            libc::SOL_NETLINK,
            NETLINK_LISTEN_ALL_NSID,
            &raw const on,
            4,
        )
    })
    .map(drop)
}

/// A name for a file of this test's own.
fn scratch(name: &str) -> PathBuf {
    Path::new("/mnt/ext4").join(name)
}

fn new_file(name: &str) -> Result<std::os::fd::OwnedFd, Errno> {
    rfs::open(
        scratch(name),
        OFlags::CREATE | OFlags::RDWR,
        Mode::from_raw_mode(0o644),
    )
}

fn open(path: impl AsRef<Path>, flags: OFlags) -> Result<(), Errno> {
    rfs::open(path.as_ref(), flags, Mode::from_raw_mode(0o644)).map(drop)
}

fn write(path: &str, bytes: &[u8]) -> Result<(), Errno> {
    let file = rfs::open(path, OFlags::WRONLY, Mode::empty())?;
    rustix::io::write(file, bytes).map(drop)
}

fn disk() -> String {
    std::env::var("DISK_EXT4").unwrap_or_default()
}

fn make_node(kind: FileType) -> Result<(), Errno> {
    let path = scratch("node");
    rfs::mknodat(CWD, &path, kind, Mode::RUSR, rfs::makedev(1, 3))?;
    rfs::unlink(&path)
}

fn make_whiteout() -> Result<(), Errno> {
    let path = scratch("whiteout");
    rfs::mknodat(CWD, &path, FileType::CharacterDevice, Mode::RUSR, 0)?;
    rfs::unlink(&path)
}

fn chown() -> Result<(), Errno> {
    let file = new_file("chown")?;
    rfs::fchown(&file, Some(rfs::Uid::from_raw(1)), None)
}

/// Sets the clock to what it shows.
fn set_clock() -> Result<(), Errno> {
    let mut time = [0i64; 2];
    call(libc::SYS_clock_gettime, [0, time.as_mut_ptr() as i64, 0, 0])?;
    call(libc::SYS_clock_settime, [0, time.as_ptr() as i64, 0, 0])
}

/// Sets the clock's status to what it is.
fn adjust_time() -> Result<(), Errno> {
    const ADJ_STATUS: u64 = 0x10;
    // struct timex: 208 bytes, what to change first.
    let mut timex = [0u64; 26];
    call(libc::SYS_adjtimex, [timex.as_mut_ptr() as i64, 0, 0, 0])?;
    timex[0] = ADJ_STATUS;
    call(libc::SYS_adjtimex, [timex.as_mut_ptr() as i64, 0, 0, 0])
}

fn mount(kind: &str, at: &str) -> Result<(), Errno> {
    rustix::mount::mount(kind, at, kind, MountFlags::empty(), None)
}

fn fsmount() -> Result<(), Errno> {
    let no_context = rfs::open("/dev/null", OFlags::RDONLY, Mode::empty())?;
    let attributes = MountAttrFlags::empty();
    rustix::mount::fsmount(no_context.as_fd(), FsMountFlags::empty(), attributes).map(drop)
}

fn mount_setattr() -> Result<(), Errno> {
    const MOUNT_ATTR_NOSUID: u64 = 2;
    let attr = [MOUNT_ATTR_NOSUID, 0, 0, 0];
    // SAFETY: the name is a C string, the structure has four words.
    syscall(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            c"/proc/self".as_ptr(),
            0,
            attr.as_ptr(),
            32,
        )
    })
    .map(drop)
}

fn syslog(action: i64) -> Result<(), Errno> {
    let mut buffer = [0u8; 256];
    let buffer = buffer.as_mut_ptr() as i64;
    call(libc::SYS_syslog, [action, buffer, 256, 0])
}

fn nice(value: i64) -> Result<(), Errno> {
    call(
        libc::SYS_setpriority,
        [libc::PRIO_PROCESS.into(), 0, value, 0],
    )
}

fn real_time() -> Result<(), Errno> {
    let priority = 1;
    let param = &raw const priority as i64;
    let policy = libc::SCHED_FIFO.into();
    call(libc::SYS_sched_setscheduler, [0, policy, param, 0])
}

fn open_by_handle() -> Result<(), Errno> {
    drop(new_file("handle")?);
    let path = c_path(&scratch("handle"));
    // struct file_handle: length, type, the handle.
    let mut handle = [0u32; 34];
    handle[0] = 128;
    let mut mount = 0i32;
    // SAFETY: the name is a C string, the handle has room for the 128 bytes it says.
    syscall(unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            libc::AT_FDCWD,
            path.as_ptr(),
            handle.as_mut_ptr(),
            &raw mut mount,
            0,
        )
    })?;
    let root = rfs::open("/mnt/ext4", OFlags::RDONLY, Mode::empty())?;
    let root = std::os::fd::AsRawFd::as_raw_fd(&root).into();
    call(
        libc::SYS_open_by_handle_at,
        [root, handle.as_mut_ptr() as i64, 0, 0],
    )
}

fn socket(family: i32, kind: i32, protocol: i32) -> Result<(), Errno> {
    call(
        libc::SYS_socket,
        [family.into(), kind.into(), protocol.into(), 0],
    )
}

fn low_port() -> Result<(), Errno> {
    use rustix::net;
    let socket = net::socket(net::AddressFamily::INET, net::SocketType::STREAM, None)?;
    net::bind(
        &socket,
        &net::SocketAddrV4::new(net::Ipv4Addr::LOCALHOST, 81),
    )
}

fn set_attribute(name: &str) -> Result<(), Errno> {
    let file = new_file("attributes")?;
    rfs::fsetxattr(&file, name, b"x", XattrFlags::empty())
}

/// One that needs no more than setfcap.
fn sysfs_attribute() -> Result<(), Errno> {
    const FILE: &str = "/sys/kernel/rcu_expedited";
    const NAME: &str = "security.capability";
    let mut no_capabilities = [0u8; 20];
    no_capabilities[3] = 2;
    rfs::setxattr(FILE, NAME, &no_capabilities, XattrFlags::empty())?;
    rfs::removexattr(FILE, NAME)
}

/// Sets nothing of a quota.
fn set_quota() -> Result<(), Errno> {
    const SET_QUOTA_OF_USERS: i64 = 0x0080_0008 << 8;
    let quota = [0u64; 9];
    let disk = c_path(Path::new(&disk()));
    call(
        libc::SYS_quotactl,
        [
            SET_QUOTA_OF_USERS,
            disk.as_ptr() as i64,
            1000,
            quota.as_ptr() as i64,
        ],
    )
}

fn set_login_uid() -> Result<(), Errno> {
    let file = rfs::open("/proc/self/loginuid", OFlags::WRONLY, Mode::empty())?;
    rustix::io::write(&file, b"1000").map(drop)
}

/// The first time everybody may.
fn log_in() -> Result<()> {
    Ok(set_login_uid()?)
}

/// Maps a page where mistakes of the kernel's lead.
fn map_low() -> Result<(), Errno> {
    let (address, length) = (0, 0x1000);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    // SAFETY: nothing is there.
    syscall(unsafe { libc::syscall(libc::SYS_mmap, address, length, 0, flags, -1, 0) }).map(drop)
}

fn make_immutable() -> Result<(), Errno> {
    let file = new_file("immutable")?;
    let old = rfs::ioctl_getflags(&file)?;
    rfs::ioctl_setflags(&file, old | rfs::IFlags::IMMUTABLE)?;
    rfs::ioctl_setflags(&file, old)
}

fn set_limit(files: u64) -> Result<(), Errno> {
    let limit = [files, files];
    let resource = libc::RLIMIT_NOFILE.into();
    call(libc::SYS_prlimit64, [0, resource, limit.as_ptr() as i64, 0])
}

fn lower_limit() -> Result<()> {
    Ok(set_limit(100)?)
}

fn oom_score() -> Result<(), Errno> {
    let file = rfs::open("/proc/self/oom_score_adj", OFlags::WRONLY, Mode::empty())?;
    rustix::io::write(&file, b"-500").map(drop)
}

fn unshare(namespaces: UnshareFlags) -> Result<(), Errno> {
    abi::process::unshare(namespaces)
}

fn own_spaces() -> Result<()> {
    Ok(unshare(UnshareFlags::NEWNET | UnshareFlags::NEWIPC)?)
}

fn set_own_namespace(name: &str) -> Result<(), Errno> {
    let path = format!("/proc/self/ns/{name}");
    let namespace = rfs::open(path, OFlags::RDONLY, Mode::empty())?;
    let kind = match name {
        "net" => LinkNameSpaceType::Network,
        _ => LinkNameSpaceType::HostNameAndNISDomainName,
    };
    rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(kind))
}

/// A protocol family that is not there has the host look for a module of that name.
fn modules_are_not_asked_for() -> Result<()> {
    const MODPROBE: &str = "/proc/sys/kernel/modprobe";
    const FAMILY: i32 = libc::AF_APPLETALK;
    let (script, notes) = ("/tmp/modprobe.sh", "/tmp/modprobe.notes");
    fs::write(notes, "")?;
    fs::write(script, format!("#!/bin/sh\necho \"$@\" >>{notes}\n"))?;
    fs::set_permissions(script, fs::Permissions::from_mode(0o755))?;
    let old = fs::read_to_string(MODPROBE)?;
    fs::write(MODPROBE, script)?;
    let ask = || {
        ensure!(socket(FAMILY, libc::SOCK_DGRAM, 0) == Err(Errno::AFNOSUPPORT));
        Ok(fs::read_to_string(notes)?)
    };
    let inside = process::isolated(|| {
        abi::ctx_create(super::XID, 0)?;
        let noted = ask()?;
        ensure!(noted.is_empty(), "{noted}");
        Ok(())
    });
    let outside = ask();
    fs::write(MODPROBE, old)?;
    inside?;
    ensure!(outside?.contains("net-pf-5"), "the host");
    Ok(())
}

/// Where memory is not overcommitted some is left to root, not to root inside a context.
fn memory_for_the_administrator() -> Result<()> {
    const SETTINGS: [(&str, &str); 2] = [
        ("/proc/sys/vm/admin_reserve_kbytes", "1000000000"),
        ("/proc/sys/vm/overcommit_memory", "2"),
    ];
    let old = SETTINGS.map(|(name, _)| fs::read_to_string(name));
    let done = process::isolated(|| {
        for (name, value) in SETTINGS {
            fs::write(name, value)?;
        }
        map_memory().context("the host's root")?;
        abi::ctx_create(super::XID, 0)?;
        refused("inside", map_memory(), Errno::NOMEM)
    });
    for ((name, _), old) in SETTINGS.iter().zip(old).rev() {
        fs::write(name, old?)?;
    }
    done
}

fn map_memory() -> Result<(), Errno> {
    let (length, may) = (1 << 20, libc::PROT_READ | libc::PROT_WRITE);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping, at an address that the kernel chooses.
    syscall(unsafe { libc::syscall(libc::SYS_mmap, 0, length, may, flags, -1, 0) }).map(drop)
}
