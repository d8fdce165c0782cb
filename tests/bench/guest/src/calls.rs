// SPDX-License-Identifier: GPL-2.0
//! What a call costs, to be compared between kernels: in instructions only, nothing else is exact
//! enough.
//!
//! Each call is counted alone, and the median taken: that is its own path through the kernel to the
//! instruction, without the interrupts and the other tasks that now and then come in between.

use crate::life::in_child;
use crate::meter::{check_counting, now};
use crate::report::figure;
use anyhow::{Result, bail};
use std::ffi::CStr;

/// How many values there are of each figure, and of how many calls each is the median.
const REPS: usize = 11;
const CALLS: usize = 101;
/// Any unused context.
pub const XID: u32 = 4000;

/// Where calls are counted.
pub struct Calls<'a> {
    place: &'a str,
    /// What counting nothing costs.
    empty: Vec<u64>,
}

impl<'a> Calls<'a> {
    /// On the host or, as `place` says, there beside contexts; in one, which the process then stays
    /// in; or in one with a limit that it does not reach.
    pub fn at(place: &'a str) -> Result<Self> {
        check_counting()?;
        match place {
            "host" => {}
            // What asks for contexts is on from the first one.
            "beside" => in_child(|| Ok(vserver_abi::ctx_create(XID, 0).map(drop)?))?,
            "context" => {
                vserver_abi::ctx_create(XID, 0)?;
            }
            "limited" => {
                vserver_abi::ctx_create(XID, vserver_abi::VXF_STATE_SETUP)?;
                let rate = vserver_abi::Sched {
                    mask: vserver_abi::VXSM_FILL_RATE | vserver_abi::VXSM_INTERVAL,
                    fill_rate: [100, 0],
                    interval: [100, 0],
                    ..vserver_abi::Sched::default()
                };
                vserver_abi::set_sched(XID, rate)?;
                vserver_abi::set_cflags(XID, vserver_abi::VXF_SCHED_HARD, u64::MAX)?;
            }
            _ => bail!("no place {place}"),
        }
        Ok(Self {
            place,
            empty: repeat(|| Ok(()), || Ok(()))?,
        })
    }

    /// Counts the instructions of `call` and prints them; `labels` say what it does.
    pub fn count(&self, labels: &str, call: impl FnMut() -> Result<()>) -> Result<()> {
        self.count_after(labels, || Ok(()), call)
    }

    /// The same; before each call `prepare` is done, and not counted.
    pub fn count_after(
        &self,
        labels: &str,
        prepare: impl FnMut() -> Result<()>,
        call: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let values: Vec<_> = repeat(prepare, call)?
            .iter()
            .zip(&self.empty)
            .map(|(value, empty)| value - empty)
            .collect();
        figure(&format!("{labels} place={}", self.place), &values);
        Ok(())
    }
}

/// The instructions of a call, several times over; the first time only warms up.
fn repeat(
    mut prepare: impl FnMut() -> Result<()>,
    mut call: impl FnMut() -> Result<()>,
) -> Result<Vec<u64>> {
    let mut values = Vec::new();
    for _ in 0..=REPS {
        let mut calls = [0; CALLS];
        for cost in &mut calls {
            prepare()?;
            let start = now();
            call()?;
            *cost = now() - start;
        }
        calls.sort_unstable();
        values.push(calls[CALLS / 2]);
    }
    Ok(values.split_off(1))
}

/// What a system call returned, or its error.
pub fn check(ret: i64) -> Result<i64> {
    if ret < 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    Ok(ret)
}

/// open(2) and close(2).
pub fn open_close(path: &CStr, flags: i32) -> Result<()> {
    // SAFETY: a valid path; the descriptor is ours.
    unsafe {
        let fd = libc::open(path.as_ptr(), flags, 0o644);
        check(fd.into())?;
        check(libc::close(fd).into())?;
    }
    Ok(())
}
