// SPDX-License-Identifier: GPL-2.0
//! The table.

mod files;
mod machine;
mod mounts;
mod others;
mod process;
mod sockets;

use super::{Power, Right, test};
use crate::escape::{count, join};
use crate::harness::Test;
use crate::namespace::new_mounts;
use crate::tests;
use crate::unified::syscall;
use anyhow::Result;
use files::*;
use machine::*;
use mounts::*;
use others::*;
use process::*;
use rustix::fs::{self as rfs, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{FsOpenFlags, MountFlags, MountPropagationFlags, OpenTreeFlags, UnmountFlags};
use rustix::thread::UnshareFlags;
use sockets::*;
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
    quota_of_a_user PERM by VXC_QUOTA_CTL: set_quota();
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
