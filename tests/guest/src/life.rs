// SPDX-License-Identifier: GPL-2.0
//! How contexts end and who gets their orphans, who may enter, the barrier, and process 1.

mod barrier;
mod entry;
mod fake_init;
mod fake_proc;
mod orphans;
mod reboot;

use crate::harness::Suite;
use crate::process::{Child, Gate, isolated, spawn};
use crate::tests;
use anyhow::{Result, ensure};
use barrier::*;
use entry::*;
use fake_init::*;
use fake_proc::*;
use orphans::*;
use reboot::*;
use vserver_abi as abi;

pub const SUITE: Suite = Suite {
    name: "life",
    wants: "ext4 tmpfs timeout=300",
    tests: tests![
        reboot_ends_the_context,
        reboot_kills_the_init,
        reboot_is_refused,
        reboot_by_whom,
        reboot_of_a_container_inside,
        helper_is_told,
        helper_is_in_charge,
        helper_that_is_missing,
        helper_is_the_hosts_to_name,
        restarted_after_a_reboot,
        new_ones_inherit_nothing,
        orphans_go_to_init,
        orphans_go_to_a_subreaper_inside,
        orphans_do_not_go_outside,
        orphans_of_inits_ancestors,
        orphans_outside_stay_outside,
        orphans_go_to_the_reaper,
        who_shares_cannot_enter,
        who_traces_cannot_enter,
        who_used_io_uring_cannot_enter,
        entering_leaves_no_core,
        end_of_a_parent,
        barrier,
        barrier_and_descriptors,
        init_is_process_one,
        the_flag_makes_it_so,
        reached_by_its_number,
        signals_to_and_from_it,
        one_is_never_the_machines,
        what_proc_has_of_it,
        one_name_for_many,
        not_in_a_pid_namespace,
        told_by_other_means,
        shared_list_of_a_cgroup,
        told_in_proc,
        children_left_outside,
    ],
};

const XID: u32 = 300;

/// A process in a new context that has been set up.
fn guest(xid: u32, flags: u64, body: impl FnOnce() -> Result<()>) -> Result<Child> {
    let ready = Gate::new()?;
    let child = spawn(|| {
        let made = abi::ctx_create(xid, flags);
        if ready.open().is_err() || made.is_err() {
            println!("# ctx_create: {made:?}");
            return 1;
        }
        match body() {
            Ok(()) => 0,
            Err(e) => {
                println!("# inside: {e:#}");
                1
            }
        }
    })?;
    ready.pass()?;
    Ok(child)
}

fn enter_as_init() -> Result<()> {
    abi::ctx_create(XID, abi::VXF_STATE_SETUP | abi::VXF_STATE_INIT)?;
    abi::set_cflags(XID, 0, abi::VXF_STATE_INIT)?;
    Ok(abi::set_cflags(XID, 0, abi::VXF_STATE_SETUP)?)
}

/// Whoever had the memory before.
fn new_ones_inherit_nothing() -> Result<()> {
    for _ in 0..20 {
        isolated(|| {
            abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
            let words = [
                abi::get_cflags(XID)?,
                abi::get_ccaps(XID)?,
                abi::get_umask(XID)?,
            ];
            ensure!(words == [abi::VXF_STATE_SETUP, 0, 0], "{words:x?}");
            ensure!(abi::vx_info(XID)?.initpid == 0);
            abi::set_ccaps(XID, !0, !0)?;
            abi::set_umask(XID, !0, !0)?;
            abi::set_cflags(XID, 0, abi::VXF_STATE_INIT)?;
            Ok(())
        })?;
    }
    Ok(())
}

fn getpid() -> i32 {
    std::process::id() as i32
}

fn getppid() -> i32 {
    // SAFETY: always safe.
    unsafe { libc::getppid() }
}
