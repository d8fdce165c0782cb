// SPDX-License-Identifier: GPL-2.0
//! The audit daemon's side of audit: rules, and the records of what matches them.

use crate::process::isolated;
use anyhow::{Context as _, Result, bail, ensure};
use rustix::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const NETLINK_AUDIT: i32 = 9;
const SET: u16 = 1001;
const USER: u16 = 1005;
const ADD_RULE: u16 = 1011;
const DEL_RULE: u16 = 1012;
const SYSCALL: u16 = 1300;
const PATH: u16 = 1302;

const STATUS_ENABLED: u32 = 1;
const STATUS_PID: u32 = 4;

const FILTER_EXIT: u32 = 4;
const ALWAYS: u32 = 2;
const EQUAL: u32 = 0x4000_0000;
const FIELD_PERM: u32 = 106;

/// Writes and changes of attributes.
const PERM_WRITE_ATTR: u32 = 2 | 8;

/// What a rule is about.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Watch {
    /// One name.
    Name = 105,
    /// All below a directory.
    Dir = 107,
}

/// A `PATH` record: `key=value` each.
pub type Record = BTreeMap<String, String>;

/// What was recorded of a system call.
#[derive(Debug, Default)]
pub struct Event {
    /// The types of all its records.
    pub types: Vec<u16>,
    pub paths: Vec<Record>,
}

/// The kernel sends its records to us as long as this lives.
pub struct Audit {
    socket: OwnedFd,
    sequence: u32,
    rules: Vec<Vec<u8>>,
    /// Records that came before they were asked for.
    early: Vec<(u16, String)>,
}

impl Audit {
    pub fn start() -> Result<Self> {
        // SAFETY: no memory is touched; the descriptor is new.
        let fd = unsafe {
            libc::socket(
                libc::AF_NETLINK,
                libc::SOCK_RAW | libc::SOCK_CLOEXEC,
                NETLINK_AUDIT,
            )
        };
        ensure!(fd >= 0, "socket: {}", std::io::Error::last_os_error());
        // SAFETY: see above; nobody else owns it.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        // Who is killed while he waits can't take back the rules.
        let patience = libc::timeval {
            tv_sec: 30,
            tv_usec: 0,
        };
        // SAFETY: the structure is as long as is said.
        let set = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVTIMEO,
                (&raw const patience).cast(),
                size_of_val(&patience) as libc::socklen_t,
            )
        };
        ensure!(set == 0, "setsockopt");
        let mut audit = Self {
            socket,
            sequence: 0,
            rules: Vec::new(),
            early: Vec::new(),
        };
        audit.set(1, std::process::id())?;
        Ok(audit)
    }

    /// Records who writes to a file or changes its attributes.
    pub fn watch(&mut self, what: Watch, path: &Path) -> Result<()> {
        let path = path.as_os_str().as_encoded_bytes();
        let rule = rule(what, path)?;
        self.request(ADD_RULE, &rule).context("add a rule")?;
        self.rules.push(rule);
        Ok(())
    }

    /// Does something in another process and says what was recorded of that.
    pub fn record(&mut self, body: impl FnOnce() -> Result<()>) -> Result<Vec<Event>> {
        isolated(body)?;
        // Records come in order: all are there when this one is.
        let end = format!("end {}", self.sequence);
        self.request(USER, format!("{end}\0").as_bytes())?;
        let mut messages = std::mem::take(&mut self.early);
        let is_end = |(kind, text): &(u16, String)| *kind == USER && text.contains(&end);
        while !messages.iter().any(is_end) {
            let (kind, payload) = self.receive()?;
            messages.push((kind, String::from_utf8_lossy(&payload).into_owned()));
        }
        events(&messages)
    }

    fn set(&mut self, enabled: u32, pid: u32) -> Result<()> {
        let mut status = [0; 11];
        status[0] = STATUS_ENABLED | STATUS_PID;
        status[1] = enabled;
        status[3] = pid;
        self.request(SET, &words(&status)).context("set the status")
    }

    /// Sends a request and waits for its acknowledgement.
    fn request(&mut self, kind: u16, payload: &[u8]) -> Result<()> {
        self.sequence += 1;
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
        let mut message = Vec::new();
        message.extend(u32::try_from(16 + payload.len())?.to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend(flags.to_ne_bytes());
        message.extend(self.sequence.to_ne_bytes());
        message.extend(0u32.to_ne_bytes());
        message.extend(payload);
        rustix::io::write(&self.socket, &message)?;
        loop {
            let (kind, payload) = self.receive()?;
            if i32::from(kind) != libc::NLMSG_ERROR {
                let text = String::from_utf8_lossy(&payload).into_owned();
                self.early.push((kind, text));
                continue;
            }
            let word = |at: usize| -> Result<[u8; 4]> {
                Ok(payload.get(at..at + 4).context("short")?.try_into()?)
            };
            ensure!(u32::from_ne_bytes(word(12)?) == self.sequence, "sequence");
            return match i32::from_ne_bytes(word(0)?) {
                0 => Ok(()),
                e => bail!("{}", std::io::Error::from_raw_os_error(-e)),
            };
        }
    }

    /// One message: its type and what is behind the header, whose length is not to be trusted.
    fn receive(&self) -> Result<(u16, Vec<u8>)> {
        let mut buffer = vec![0; 16384];
        // SAFETY: the buffer is as long as is said.
        let len = unsafe {
            libc::recv(
                self.socket.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                0,
            )
        };
        let len = usize::try_from(len).map_err(|_| std::io::Error::last_os_error())?;
        buffer.truncate(len);
        let kind = buffer.get(4..6).context("short")?.try_into()?;
        Ok((u16::from_ne_bytes(kind), buffer.split_off(16)))
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        for rule in std::mem::take(&mut self.rules) {
            let _ = self.request(DEL_RULE, &rule);
        }
        let _ = self.set(0, 0);
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// A struct audit_rule_data: all system calls that have to do with the path.
fn rule(what: Watch, path: &[u8]) -> Result<Vec<u8>> {
    let len = u32::try_from(path.len())?;
    let field = |first: u32, second: u32| {
        let mut field = [0; 64];
        field[0] = first;
        field[1] = second;
        words(&field)
    };
    let mut rule = words(&[FILTER_EXIT, ALWAYS, 2]);
    rule.extend(words(&[!0; 64]));
    rule.extend(field(what as u32, FIELD_PERM));
    rule.extend(field(len, PERM_WRITE_ATTR));
    rule.extend(field(EQUAL, EQUAL));
    rule.extend(words(&[len]));
    rule.extend(path);
    Ok(rule)
}

/// Puts together what has one serial number: `audit(TIME:SERIAL): key=value...`. Our own requests
/// are system calls that are recorded too.
fn events(messages: &[(u16, String)]) -> Result<Vec<Event>> {
    let mut events: BTreeMap<u64, Event> = BTreeMap::new();
    let own = format!(" pid={} ", std::process::id());
    let mut others = BTreeSet::new();
    for (kind, text) in messages {
        let (head, says) = text.split_once("): ").context("no serial number")?;
        let (_, serial) = head.rsplit_once(':').context("no serial number")?;
        let serial = serial.parse()?;
        if *kind == SYSCALL && !says.contains(&own) {
            others.insert(serial);
        }
        let event = events.entry(serial).or_default();
        event.types.push(*kind);
        if *kind == PATH {
            let fields = says.trim_end_matches('\0').split(' ');
            event.paths.push(
                fields
                    .filter_map(|word| word.split_once('='))
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .collect(),
            );
        }
    }
    events.retain(|serial, _| others.contains(serial));
    Ok(events.into_values().collect())
}
