// SPDX-License-Identifier: GPL-2.0
//! `vspace`: the namespaces of a context, and new ones.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{ArgGroup, Args, Parser};
use rustix::thread::UnshareFlags;
use vserver::error::{Error, Result};
use vserver::{context, guest, space};

use super::Then;

/// Enter namespaces of a context, or make new ones
#[derive(Debug, Parser)]
#[command(
    name = "vspace",
    version,
    group = ArgGroup::new("operation").required(true),
    after_help = "\
The command stays on the host, with all rights that the caller has: so has a program of the guest
that is run in this way. vserver enter runs one as a process of the guest.

Examples:
  vspace --enter web --mount -- cat /proc/mounts
  vspace --new --uts --ipc -- sh"
)]
pub(super) struct Space {
    /// Enter namespaces of this context; without a choice all that it holds, with its root
    #[arg(long, short, value_name = "XID|NAME", group = "operation")]
    enter: Option<String>,
    /// Make new namespaces
    #[arg(long, short, group = "operation", requires = "kind")]
    new: bool,
    /// Have the own context hold the own namespaces, as long as it is being set up
    #[arg(long, short, group = "operation")]
    set: bool,
    #[command(flatten)]
    kinds: Kinds,
    /// The command, with its arguments
    #[arg(
        trailing_var_arg = true,
        value_name = "COMMAND",
        required_unless_present = "set"
    )]
    argv: Vec<OsString>,
}

/// Which namespaces.
#[derive(Debug, Args)]
#[group(id = "kind", multiple = true)]
struct Kinds {
    /// Mounts
    #[arg(long, short = 'M')]
    mount: bool,
    /// Root and working directory
    #[arg(long, short = 'F')]
    fs: bool,
    /// System V IPC and POSIX message queues
    #[arg(long, short = 'I')]
    ipc: bool,
    /// Host and domain name
    #[arg(long, short = 'U')]
    uts: bool,
    /// Users and capabilities
    #[arg(long, short = 'S')]
    user: bool,
    /// Process ids
    #[arg(long, short = 'P')]
    pid: bool,
    /// Network
    #[arg(long, short = 'N')]
    net: bool,
    /// As CLONE_NEW* flags, beside those: 0x4000000
    #[arg(long, short, value_name = "MASK", value_parser = mask)]
    mask: Option<UnshareFlags>,
}

/// What `--mask` can name.
const KINDS: UnshareFlags = UnshareFlags::FS
    .union(UnshareFlags::NEWNS)
    .union(UnshareFlags::NEWUTS)
    .union(UnshareFlags::NEWIPC)
    .union(UnshareFlags::NEWUSER)
    .union(UnshareFlags::NEWPID)
    .union(UnshareFlags::NEWNET)
    .union(UnshareFlags::NEWCGROUP)
    .union(UnshareFlags::NEWTIME);

fn mask(text: &str) -> Result<UnshareFlags> {
    let bits = match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => text.parse(),
    };
    let kinds = bits.ok().map(UnshareFlags::from_bits_retain);
    kinds.filter(|kinds| KINDS.contains(*kinds)).ok_or_else(|| {
        let all = KINDS.bits();
        Error::Invalid(format!("{text}: not a mask of namespaces; all is {all:#x}"))
    })
}

impl Kinds {
    fn chosen(&self) -> UnshareFlags {
        let given = self.mask.unwrap_or(UnshareFlags::empty());
        [
            (self.mount, UnshareFlags::NEWNS),
            (self.fs, UnshareFlags::FS),
            (self.ipc, UnshareFlags::NEWIPC),
            (self.uts, UnshareFlags::NEWUTS),
            (self.user, UnshareFlags::NEWUSER),
            (self.pid, UnshareFlags::NEWPID),
            (self.net, UnshareFlags::NEWNET),
        ]
        .into_iter()
        .filter(|(chosen, _)| *chosen)
        .fold(given, |all, (_, kind)| all | kind)
    }
}

pub(super) fn space(args: Space) -> anyhow::Result<ExitCode> {
    let kinds = args.kinds.chosen();
    if let Some(context) = &args.enter {
        guest::seal()?;
        space::enter(context::resolve(context)?, kinds)?;
    } else if args.new {
        guest::unshare(kinds)?;
    } else {
        space::hold(kinds)?;
    }
    let then = Then { argv: args.argv };
    match kinds.contains(UnshareFlags::NEWPID) && !args.set {
        // Only children are in it.
        true => then.run_below(),
        false => then.run(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(line: &str) -> UnshareFlags {
        let space = Space::try_parse_from(line.split(' '));
        space
            .unwrap_or_else(|e| panic!("{line}: {e}"))
            .kinds
            .chosen()
    }

    #[test]
    fn what_is_chosen_is_entered_and_no_more() {
        assert!(chosen("vspace --enter web -- sh").is_empty());
        assert_eq!(
            chosen("vspace -e web --mount --fs sh -c :"),
            UnshareFlags::NEWNS | UnshareFlags::FS
        );
        assert_eq!(
            chosen("vspace -n --pid --mask 0x4000000 sh"),
            UnshareFlags::NEWPID | UnshareFlags::NEWUTS
        );
        assert_eq!(
            chosen("vspace -s -MI"),
            chosen("vspace --set --mount --ipc")
        );
        let net_and_user = UnshareFlags::NEWNET | UnshareFlags::NEWUSER;
        assert_eq!(chosen("vspace --set --net --user"), net_and_user);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "vspace sh",
            "vspace --new sh",
            "vspace --new --uts",
            "vspace --enter web",
            "vspace --enter web --set sh",
            "vspace --new --mask 0x100 sh",
            "vspace --new --mask x sh",
        ] {
            assert!(Space::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
