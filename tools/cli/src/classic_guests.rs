// SPDX-License-Identifier: GPL-2.0
//! The names that the old tools had for what concerns contexts, with the options that people know.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Command, CommandFactory, Parser};
use rustix::thread::UnshareFlags;
use vserver::abi;
use vserver::context::{self, Target};
use vserver::cpu::SchedChange;
use vserver::error::{Error, Result};
use vserver::guest::{self, Enter, Program};
use vserver::limits::{self, Most, THINGS};
use vserver::names::{CCAPS, FlagChange};
use vserver::signal;
use vserver::usage::{self, Process};

use crate::output::{self, bytes, line, time};

/// The names. A link of one of these to the command is such a tool.
pub(crate) const NAMES: [&str; 9] = [
    "vserver-stat",
    "vattribute",
    "vsched",
    "vlimit",
    "vps",
    "vkill",
    "vwait",
    "vuname",
    "vspace",
];

/// The command lines, for their manual pages.
pub(crate) fn commands() -> Vec<Command> {
    vec![
        Stat::command(),
        Attribute::command(),
        Sched::command(),
        Limit::command(),
        Ps::command(),
        Kill::command(),
        Wait::command(),
        Uname::command(),
        Space::command(),
    ]
}

/// Does as the tool that the first word names; nothing if it names none.
pub(crate) fn run(words: &[OsString]) -> Option<anyhow::Result<ExitCode>> {
    let name = Path::new(words.first()?).file_name()?.to_str()?;
    Some(match name {
        "vserver-stat" => stat(&Stat::parse_from(words)),
        "vattribute" => attribute(&Attribute::parse_from(words)),
        "vsched" => sched(&Sched::parse_from(words)),
        "vlimit" => limit(&Limit::parse_from(words)),
        "vps" => ps(&Ps::parse_from(words)),
        "vkill" => kill(&Kill::parse_from(words)),
        "vwait" => wait(&Wait::parse_from(words)),
        "vuname" => uname(&Uname::parse_from(words)),
        "vspace" => space(Space::parse_from(words)),
        _ => return None,
    })
}

/// The context that a tool is about: given, or the caller's own.
#[derive(Debug, Args)]
struct Xid {
    /// The context's id or name [default: the caller's own]
    #[arg(long, value_name = "XID|NAME")]
    xid: Option<String>,
}

impl Xid {
    fn get(&self) -> Result<u32> {
        self.xid
            .as_ref()
            .map_or(Ok(abi::VX_XID_SELF), |xid| context::resolve(xid))
    }
}

/// The command that a tool runs at the end.
#[derive(Debug, Args)]
struct Then {
    /// A command to run then
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    argv: Vec<OsString>,
}

impl Then {
    fn run(&self) -> anyhow::Result<ExitCode> {
        use std::os::unix::process::CommandExt;
        match self.argv.split_first() {
            None => Ok(ExitCode::SUCCESS),
            Some((program, args)) => {
                let source = std::process::Command::new(program).args(args).exec();
                let program = program.to_string_lossy().into_owned();
                Err(Error::Exec { program, source }.into())
            }
        }
    }
}

/// Show what each context uses
#[derive(Debug, Parser)]
#[command(
    name = "vserver-stat",
    version,
    after_help = "The same as vserver stat."
)]
struct Stat {
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

fn stat(args: &Stat) -> anyhow::Result<ExitCode> {
    context::list()?;
    usage::become_spectator()?;
    let all = usage::usage(&usage::processes()?)?;
    if args.json {
        output::json(&all)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = all.into_iter().map(|u| {
        [
            u.xid.to_string(),
            u.processes.to_string(),
            bytes(u.virtual_bytes),
            bytes(u.resident_bytes),
            time(u.user_msec),
            time(u.sys_msec),
            u.uptime_msec.map_or_else(|| "-".into(), time),
            u.name,
        ]
    });
    let heads = [
        "CTX",
        ">PROC",
        ">VSZ",
        ">RSS",
        ">userTIME",
        ">sysTIME",
        ">UPTIME",
        "NAME",
    ];
    output::table(heads, rows.collect())?;
    Ok(ExitCode::SUCCESS)
}

/// Change the flags and capabilities of a context
#[derive(Debug, Parser)]
#[command(
    name = "vattribute",
    version,
    after_help = "Example:\n  vattribute --set --xid web --flag ~persistent --ccap secure_mount"
)]
struct Attribute {
    /// Change them
    #[arg(long, required = true)]
    set: bool,
    #[command(flatten)]
    xid: Xid,
    /// Flags, comma-separated; ~ switches one off
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true)]
    flag: Vec<FlagChange>,
    /// Context capabilities, comma-separated; ~ takes one away
    #[arg(long, value_name = "CCAPS")]
    ccap: Vec<String>,
    /// All other context capabilities are taken away
    #[arg(long)]
    secure: bool,
    #[command(flatten)]
    then: Then,
}

fn attribute(args: &Attribute) -> anyhow::Result<ExitCode> {
    let xid = args.xid.get()?;
    let none = FlagChange::default();
    let flags = args.flag.iter().fold(none, |all, f| all.and(*f));
    let (mut set, mut mask) = (0, if args.secure { u64::MAX } else { 0 });
    for item in args.ccap.iter().flat_map(|list| list.split(',')) {
        let name = item.trim_start_matches(['~', '!', '-']);
        let bit = CCAPS.bit(name)?;
        mask |= bit;
        match name == item {
            true => set |= bit,
            false => set &= !bit,
        }
    }
    context::change(xid, &SchedChange::default(), flags, false)?;
    if mask != 0 {
        context::set_ccaps(xid, set, mask)?;
    }
    args.then.run()
}

/// Change the token bucket of a context
#[derive(Debug, Parser)]
#[command(
    name = "vsched",
    version,
    after_help = "Example:\n  vsched --xid web --fill-rate 1 --interval 4 --force"
)]
struct Sched {
    #[command(flatten)]
    xid: Xid,
    /// Tokens added in an interval
    #[arg(long)]
    fill_rate: Option<i32>,
    /// The interval, in ticks
    #[arg(long)]
    interval: Option<i32>,
    /// Share of the time in which CPUs would idle: so much in each idle interval
    #[arg(long)]
    fill_rate2: Option<i32>,
    /// The idle interval, in ticks
    #[arg(long)]
    interval2: Option<i32>,
    /// Tokens in the bucket now
    #[arg(long)]
    tokens: Option<i32>,
    /// Tokens that end a hold
    #[arg(long)]
    tokens_min: Option<i32>,
    /// Tokens that can be saved up
    #[arg(long)]
    tokens_max: Option<i32>,
    /// Bias of the priority
    #[arg(long, allow_negative_numbers = true)]
    prio_bias: Option<i32>,
    /// Let the limit act
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    then: Then,
}

fn sched(args: &Sched) -> anyhow::Result<ExitCode> {
    let change = SchedChange {
        cpu: None,
        fill_rate: args.fill_rate,
        interval: args.interval,
        idle_fill_rate: args.fill_rate2,
        idle_interval: args.interval2,
        tokens: args.tokens,
        tokens_min: args.tokens_min,
        tokens_max: args.tokens_max,
        prio_bias: args.prio_bias,
    };
    let hard = FlagChange {
        set: if args.force { abi::VXF_SCHED_HARD } else { 0 },
        clear: 0,
    };
    context::change(args.xid.get()?, &change, hard, false)?;
    args.then.run()
}

/// Show and change the limits of a context
#[derive(Debug, Parser)]
#[command(
    name = "vlimit",
    version,
    after_help = "\
Examples:
  vlimit --all --xid web
  vlimit --xid web --nproc 200 --nofile inf"
)]
struct Limit {
    #[command(flatten)]
    xid: Xid,
    /// Show all limits
    #[arg(long, short)]
    all: bool,
    /// Hard limits: they are all that acts
    #[arg(long, short = 'H')]
    hard: bool,
    /// Processes and threads: a number, or inf; so with the following
    #[arg(long, value_parser = most)]
    nproc: Option<Most>,
    /// Open files
    #[arg(long, value_parser = most)]
    nofile: Option<Most>,
    /// File locks
    #[arg(long, value_parser = most)]
    locks: Option<Most>,
    /// Bytes that message queues may hold
    #[arg(long, value_parser = most)]
    msgqueue: Option<Most>,
    /// Sockets
    #[arg(long, value_parser = most)]
    nsock: Option<Most>,
    /// Pages of shared memory
    #[arg(long, value_parser = most)]
    shmem: Option<Most>,
    /// Arrays of semaphores
    #[arg(long, value_parser = most)]
    semary: Option<Most>,
    /// Semaphores
    #[arg(long, value_parser = most)]
    nsems: Option<Most>,
    #[command(flatten)]
    then: Then,
}

fn most(text: &str) -> Result<Most> {
    match text {
        "inf" => Ok(Most::Unlimited),
        text => text.parse(),
    }
}

fn limit(args: &Limit) -> anyhow::Result<ExitCode> {
    let xid = args.xid.get()?;
    let changes = [
        (limits::PROCESSES, args.nproc),
        (limits::FILES, args.nofile),
        (limits::LOCKS, args.locks),
        (limits::QUEUES, args.msgqueue),
        (limits::SOCKETS, args.nsock),
        (limits::SHARED, args.shmem),
        (limits::ARRAYS, args.semary),
        (limits::SEMAPHORES, args.nsems),
    ];
    let given = changes.into_iter().filter_map(|(t, most)| Some((t, most?)));
    limits::change(xid, &given.collect::<Vec<_>>())?;
    if args.all {
        let rows = limits::get(xid).into_iter().map(|l| {
            let id = THINGS.iter().find(|t| t.name == l.name).map_or(0, |t| t.id);
            let hard = l.hard.map_or_else(|| "inf".to_owned(), |n| n.to_string());
            [
                id.to_string(),
                l.name.replace('_', " "),
                l.current.to_string(),
                hard,
            ]
        });
        output::table([">ID", "LIMIT", ">CURRENT", ">HARD"], rows.collect())?;
    }
    args.then.run()
}

/// List the processes of all contexts
#[derive(Debug, Parser)]
#[command(
    name = "vps",
    version,
    after_help = "Options of ps(1) are not needed: it shows all, with their contexts."
)]
struct Ps {
    /// Options of ps(1), which are left unheard
    #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
    options: Vec<OsString>,
}

fn ps(_: &Ps) -> anyhow::Result<ExitCode> {
    context::list()?;
    usage::become_spectator()?;
    let row = |p: Process| {
        [
            p.pid.to_string(),
            p.xid.to_string(),
            p.uid.to_string(),
            p.state.to_string(),
            time(p.user_msec + p.sys_msec),
            p.command,
        ]
    };
    let rows = usage::processes()?.into_iter().map(row).collect();
    output::table([">PID", ">CONTEXT", ">UID", "S", ">TIME", "CMD"], rows)?;
    Ok(ExitCode::SUCCESS)
}

/// Send a signal to processes of a context
#[derive(Debug, Parser)]
#[command(
    name = "vkill",
    version,
    after_help = "Examples:\n  vkill --xid web -s KILL\n  vkill --xid web -s HUP -- 1 3415"
)]
struct Kill {
    /// The context's id or name
    #[arg(long, short = 'c', value_name = "XID|NAME")]
    xid: String,
    /// The signal
    #[arg(short, default_value = "TERM", value_parser = signal::parse)]
    s: i32,
    /// The processes; 1 is the context's init [default: all]
    #[arg(value_name = "PID")]
    pid: Vec<i32>,
}

fn kill(args: &Kill) -> anyhow::Result<ExitCode> {
    let xid = context::resolve(&args.xid)?;
    if args.pid.is_empty() {
        context::kill(xid, Target::All, args.s)?;
    }
    for pid in &args.pid {
        let target = match pid {
            1 => Target::Init,
            pid => Target::Pid(*pid),
        };
        context::kill(xid, target, args.s)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Wait until a context is gone
#[derive(Debug, Parser)]
#[command(name = "vwait", version, after_help = "Example:\n  vwait web")]
struct Wait {
    /// The context's id or name
    #[arg(value_name = "XID|NAME")]
    xid: String,
}

fn wait(args: &Wait) -> anyhow::Result<ExitCode> {
    let ended = context::wait(context::resolve(&args.xid)?)?;
    line(signal::exit_status(ended.exit_code))?;
    Ok(ExitCode::SUCCESS)
}

/// Show and change what uname(2) says in a context
#[derive(Debug, Parser)]
#[command(
    name = "vuname",
    version,
    after_help = "Examples:\n  vuname --get --xid web nodename\n  vuname --set --xid web --nodename w2"
)]
struct Uname {
    #[command(flatten)]
    xid: Xid,
    /// Show names
    #[arg(long, short = 'g')]
    get: bool,
    /// Change names
    #[arg(long, short = 's')]
    set: bool,
    /// The context's own name
    #[arg(long)]
    context: Option<String>,
    /// The host name
    #[arg(long, short = 'n')]
    nodename: Option<String>,
    /// The kernel's name
    #[arg(long)]
    sysname: Option<String>,
    /// Its release
    #[arg(long, short = 'r')]
    release: Option<String>,
    /// Its version
    #[arg(long)]
    version_name: Option<String>,
    /// The machine
    #[arg(long, short = 'm')]
    machine: Option<String>,
    /// The NIS domain
    #[arg(long)]
    domainname: Option<String>,
    /// With --get: which; CONTEXT, NODENAME, ... or =NAME to change it
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// The names and their numbers.
const UTS: [(&str, u32); 7] = [
    ("context", abi::VHIN_CONTEXT),
    ("sysname", abi::VHIN_SYSNAME),
    ("nodename", abi::VHIN_NODENAME),
    ("release", abi::VHIN_RELEASE),
    ("version", abi::VHIN_VERSION),
    ("machine", abi::VHIN_MACHINE),
    ("domainname", abi::VHIN_DOMAINNAME),
];

fn field(name: &str) -> Result<u32> {
    let found = UTS.iter().find(|(n, _)| *n == name.to_ascii_lowercase());
    found.map(|(_, field)| *field).ok_or_else(|| {
        let names = UTS.map(|(name, _)| name).join(", ");
        Error::Invalid(format!("{name}: no such name; there are {names}"))
    })
}

fn uname(args: &Uname) -> anyhow::Result<ExitCode> {
    let xid = args.xid.get()?;
    for (name, value) in [
        ("context", &args.context),
        ("nodename", &args.nodename),
        ("sysname", &args.sysname),
        ("release", &args.release),
        ("version", &args.version_name),
        ("machine", &args.machine),
        ("domainname", &args.domainname),
    ] {
        if let Some(value) = value {
            context::set_uts_name(xid, field(name)?, value)?;
        }
    }
    for item in &args.names {
        match item.split_once('=') {
            Some((name, value)) => context::set_uts_name(xid, field(name)?, value)?,
            None => line(context::uts_name(xid, field(item)?)?)?,
        }
    }
    if args.get && args.names.is_empty() {
        for (name, field) in UTS {
            line(format_args!("{name}: {}", context::uts_name(xid, field)?))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Enter the namespaces of a context
#[derive(Debug, Parser)]
#[command(
    name = "vspace",
    version,
    after_help = "Example:\n  vspace --enter web -- mount"
)]
struct Space {
    /// The context's id or name
    #[arg(long, value_name = "XID|NAME", required_unless_present = "new")]
    enter: Option<String>,
    /// Make new namespaces instead
    #[arg(long, conflicts_with = "enter")]
    new: bool,
    /// With --new: mount namespaces
    #[arg(long)]
    mount: bool,
    /// With --new: uts namespaces
    #[arg(long)]
    uts: bool,
    /// With --new: ipc namespaces
    #[arg(long)]
    ipc: bool,
    /// With --new: net namespaces
    #[arg(long)]
    net: bool,
    #[command(flatten)]
    then: Then,
}

fn space(args: Space) -> anyhow::Result<ExitCode> {
    if let Some(context) = &args.enter {
        guest::seal()?;
        let what = Enter {
            xid: context::resolve(context)?,
            root: None,
            caps: None,
        };
        let program = Program {
            argv: args.then.argv,
            env: Vec::new(),
            workdir: None,
        };
        return Err(guest::enter(&what, &program).into());
    }
    let chosen = [
        (args.mount, UnshareFlags::NEWNS),
        (args.uts, UnshareFlags::NEWUTS),
        (args.ipc, UnshareFlags::NEWIPC),
        (args.net, UnshareFlags::NEWNET),
    ];
    let kinds = chosen.into_iter().filter(|(given, _)| *given);
    let kinds = kinds.fold(UnshareFlags::empty(), |all, (_, kind)| all | kind);
    guest::unshare(kinds)?;
    args.then.run()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_lines_are_consistent() {
        let commands = commands();
        assert_eq!(commands.len(), NAMES.len());
        for command in commands {
            assert!(NAMES.contains(&command.get_name()));
            command.debug_assert();
        }
    }

    #[test]
    fn other_names_are_no_tool() {
        assert!(run(&["/usr/sbin/vserver".into()]).is_none());
        assert!(run(&[]).is_none());
    }

    #[test]
    fn what_people_know_is_taken() {
        let limit = Limit::parse_from(["vlimit", "--xid", "web", "--nproc", "inf", "-H"]);
        assert_eq!(limit.nproc, Some(Most::Unlimited));
        let words = ["vattribute", "--set", "--xid", "7", "--flag", "~persistent"];
        let attribute = Attribute::parse_from(words);
        assert_eq!(attribute.flag[0].clear, abi::VXF_PERSISTENT);
        let kill = Kill::parse_from(["vkill", "--xid", "7", "-s", "9", "--", "1"]);
        assert_eq!((kill.s, kill.pid), (9, vec![1]));
    }
}
