// SPDX-License-Identifier: GPL-2.0
//! Taskstats: what the kernel tells of processes by generic netlink.

use super::diag::{Answer, NLM_F_ACK, ask_about, short};
use super::{Found, victim::Victim};
use anyhow::{Context as _, Result};

const NETLINK_GENERIC: usize = 16;
const CONTROLLER: u16 = 16;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const TASKSTATS_CMD_GET: u8 = 1;
const ATTR_PID: u16 = 1;
const ATTR_TGID: u16 = 2;
const ATTR_REGISTER_CPUMASK: u16 = 3;

/// Asks a family of generic netlink, with one attribute.
fn ask(family: u16, command: u8, flags: u16, attribute: u16, value: &[u8]) -> Result<Answer> {
    // struct genlmsghdr, struct nlattr
    let mut request = vec![command, 1, 0, 0];
    request.extend(u16::try_from(4 + value.len())?.to_ne_bytes());
    request.extend(attribute.to_ne_bytes());
    request.extend(value);
    request.resize(request.len().next_multiple_of(4), 0);
    ask_about(NETLINK_GENERIC, family, flags, &request)
}

/// The number of the family, which is another one on each machine.
fn family() -> Result<u16> {
    let name = b"TASKSTATS\0";
    let answer = ask(
        CONTROLLER,
        CTRL_CMD_GETFAMILY,
        0,
        CTRL_ATTR_FAMILY_NAME,
        name,
    )??;
    let body = answer.first().context("no such family")?;
    let mut at = 4;
    while at + 4 <= body.len() {
        if short(body, at + 2) == CTRL_ATTR_FAMILY_ID {
            return Ok(short(body, at + 4));
        }
        at += usize::from(short(body, at)).max(4).next_multiple_of(4);
    }
    anyhow::bail!("a family without a number")
}

fn get(flags: u16, attribute: u16, value: &[u8]) -> Result<Found> {
    let answer = ask(family()?, TASKSTATS_CMD_GET, flags, attribute, value)?;
    Ok(answer.map(|_| 1))
}

pub fn of_a_thread(victim: &Victim) -> Result<Found> {
    get(0, ATTR_PID, &(victim.pid() as u32).to_ne_bytes())
}

pub fn of_a_process(victim: &Victim) -> Result<Found> {
    get(0, ATTR_TGID, &(victim.pid() as u32).to_ne_bytes())
}

/// Wants to hear of all that exit on the first processor.
pub fn hears_of_exits() -> Result<Found> {
    get(NLM_F_ACK, ATTR_REGISTER_CPUMASK, b"0\0")
}
