// SPDX-License-Identifier: GPL-2.0
//! The bias of the OOM killer.

use super::{Guest, XID, expect};
use crate::process;
use anyhow::{Context as _, Result, ensure};
use rustix::io::Errno;
use std::fs;
use vserver_abi as abi;

/// How likely the process is to be killed; 2/3 of a point for each of oom_score_adj.
fn score(pid: &str) -> Result<i64> {
    let text = fs::read_to_string(format!("/proc/{pid}/oom_score"))?;
    text.trim().parse().context(text)
}

pub fn bias() -> Result<()> {
    let guest = Guest::new(0, || process::sleep_forever())?;
    let pid = guest.child.id().to_string();
    let host = score("self")?;
    ensure!(abi::get_badness(XID)? == 0);
    let before = score(&pid)?;
    for (bias, points) in [(300, 200), (-300, -200), (1000, 667), (0, 0)] {
        abi::set_badness(XID, bias)?;
        ensure!(abi::get_badness(XID)? == bias);
        let change = score(&pid)? - before;
        ensure!(
            (change - points).abs() <= 3,
            "{bias}: {change} for {points}"
        );
        ensure!((score("self")? - host).abs() <= 3, "the host's is another");
    }
    // The sum is bounded as its parts are.
    abi::set_badness(XID, 1000)?;
    let most = score(&pid)?;
    fs::write(format!("/proc/{pid}/oom_score_adj"), "1000")?;
    ensure!((score(&pid)? - most).abs() <= 3);
    abi::set_badness(XID, -1000)?;
    fs::write(format!("/proc/{pid}/oom_score_adj"), "-999")?;
    ensure!((0..=3).contains(&score(&pid)?), "{}", score(&pid)?);
    for bad in [1001, -1001, i64::MAX, i64::MIN] {
        expect(abi::set_badness(XID, bad), Errno::INVAL)?;
    }
    ensure!(abi::get_badness(XID)? == -1000);
    guest.end()
}
