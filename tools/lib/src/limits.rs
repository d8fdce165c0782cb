// SPDX-License-Identifier: GPL-2.0
//! Limits on what a context has: processes, files, sockets.

use std::str::FromStr;

use serde::Serialize;
use vserver_abi as abi;

use crate::error::{Doing, Error, Result, Vserver};

/// A thing that a context has: its name and its number in the kernel's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thing {
    /// The name, as options and JSON have it.
    pub name: &'static str,
    /// The number.
    pub id: u32,
    /// It is counted in pages of memory.
    pub pages: bool,
}

const fn thing(name: &'static str, id: u32) -> Thing {
    Thing {
        name,
        id,
        pages: false,
    }
}

const fn pages(name: &'static str, id: u32) -> Thing {
    Thing {
        name,
        id,
        pages: true,
    }
}

/// Processes and threads.
pub const PROCESSES: Thing = thing("processes", 6);
/// Open files.
pub const FILES: Thing = thing("files", 7);
/// Sockets.
pub const SOCKETS: Thing = thing("sockets", abi::VLIMIT_NSOCK);
/// File locks.
pub const LOCKS: Thing = thing("locks", 10);
/// Bytes that message queues may hold.
pub const QUEUES: Thing = thing("message_queues", 12);
/// Pages in segments of shared memory.
pub const SHARED: Thing = pages("shared_memory", abi::VLIMIT_SHMEM);
/// Arrays of semaphores.
pub const ARRAYS: Thing = thing("semaphore_arrays", abi::VLIMIT_SEMARY);
/// Semaphores.
pub const SEMAPHORES: Thing = thing("semaphores", abi::VLIMIT_NSEMS);

/// Descriptors, however many there are of a file.
pub const DESCRIPTORS: Thing = thing("descriptors", abi::VLIMIT_OPENFD);
/// Pages of address space.
pub const ADDRESS_SPACE: Thing = pages("address_space", 9);
/// Pages that are locked in memory.
pub const LOCKED: Thing = pages("locked_memory", 8);

/// All that the kernel knows of.
pub const THINGS: [Thing; 14] = [
    PROCESSES,
    FILES,
    DESCRIPTORS,
    SOCKETS,
    LOCKS,
    QUEUES,
    SHARED,
    ARRAYS,
    SEMAPHORES,
    ADDRESS_SPACE,
    LOCKED,
    pages("resident", 5),
    pages("anonymous", abi::VLIMIT_ANON),
    pages("mapped", abi::VLIMIT_MAPPED),
];

/// How much of a thing a context may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Most {
    /// As much as there is.
    Unlimited,
    /// So much.
    Number(u64),
}

impl Most {
    /// As the kernel's interface has it.
    pub fn to_abi(self) -> u64 {
        match self {
            Self::Unlimited => abi::CRLIM_INFINITY,
            Self::Number(n) => n,
        }
    }
}

impl FromStr for Most {
    type Err = Error;

    /// `100`, or `unlimited`.
    fn from_str(text: &str) -> Result<Self, Error> {
        if text == "unlimited" || text == "none" {
            return Ok(Self::Unlimited);
        }
        // What no limit and "as it is" are in the interface cannot be numbers.
        let number = text.parse().ok().filter(|&n| n < abi::CRLIM_KEEP);
        number.map(Self::Number).ok_or_else(|| {
            Error::Invalid(format!("{text}: not a limit; say a number or unlimited"))
        })
    }
}

/// What a context has of a thing, and may have.
#[derive(Clone, Debug, Serialize)]
pub struct Limit {
    /// Of what.
    pub name: &'static str,
    /// How much it has, in pages or pieces.
    pub current: u64,
    /// The least and
    pub min: u64,
    /// the most that it had.
    pub max: u64,
    /// The mark of the administrator, if there is one.
    pub soft: Option<u64>,
    /// The most it may have, if that is limited.
    pub hard: Option<u64>,
    /// How often it was refused more.
    pub hits: u32,
    /// Whether a limit can be set.
    pub can_be_set: bool,
}

/// Limits to be set.
pub type Changes = Vec<(Thing, Most)>;

/// Sets the hard limits of context `xid`.
pub fn change(xid: u32, changes: &[(Thing, Most)]) -> Result<()> {
    changes
        .iter()
        .try_for_each(|(thing, most)| set(xid, thing, None, Some(*most)))
}

/// Sets the soft limit of context `xid`, which is a mark that nothing acts on, and the hard one; what
/// is `None` stays as it is.
pub fn set(xid: u32, thing: &Thing, soft: Option<Most>, hard: Option<Most>) -> Result<()> {
    let value = |most: Option<Most>| most.map_or(abi::CRLIM_KEEP, Most::to_abi);
    Vserver(abi::set_rlimit(xid, thing.id, value(soft), value(hard))).doing(|| {
        format!(
            "limit the {} of context {xid}",
            thing.name.replace('_', " ")
        )
    })
}

/// What context `xid` has of everything; empty where the caller may not know.
pub fn get(xid: u32) -> Vec<Limit> {
    let mask = abi::get_rlimit_mask().unwrap_or_default();
    let limit = |thing: &Thing| {
        let stat = abi::rlimit_stat(xid, thing.id).ok()?;
        let limit = abi::get_rlimit(xid, thing.id).ok()?;
        let number = |n| (n != abi::CRLIM_INFINITY).then_some(n);
        Some(Limit {
            name: thing.name,
            current: stat.value,
            min: stat.minimum,
            max: stat.maximum,
            soft: number(limit.softlimit),
            hard: number(limit.maximum),
            hits: stat.hits,
            can_be_set: mask.maximum & (1 << thing.id) != 0,
        })
    };
    THINGS.iter().filter_map(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_numbers_or_none() {
        assert_eq!("100".parse::<Most>().unwrap(), Most::Number(100));
        assert_eq!("0".parse::<Most>().unwrap().to_abi(), 0);
        for none in ["unlimited", "none"] {
            assert_eq!(none.parse::<Most>().unwrap().to_abi(), u64::MAX);
        }
        for bad in ["", "-1", "many", "1.5", "18446744073709551614"] {
            let error = bad.parse::<Most>().unwrap_err().to_string();
            assert!(error.contains("say a number or unlimited"), "{error}");
        }
    }

    #[test]
    fn things_have_numbers_and_names_of_their_own() {
        for (i, a) in THINGS.iter().enumerate() {
            assert!(a.id < 32, "{}", a.name);
            for b in &THINGS[i + 1..] {
                assert!(a.id != b.id && a.name != b.name, "{}", a.name);
            }
        }
    }
}
