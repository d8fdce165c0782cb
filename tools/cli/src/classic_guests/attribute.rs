// SPDX-License-Identifier: GPL-2.0
//! `vattribute`: the flags and capabilities of a context.

use std::process::ExitCode;

use clap::Parser;
use rustix::thread::{CapabilitySet, UnshareFlags};
use serde_json::json;
use vserver::config::Kind;
use vserver::context::{self, Bits, May};
use vserver::cpu::SchedChange;
use vserver::error::{Error, Result};
use vserver::guest::Caps;
use vserver::names::{CCAPS, CFLAGS, FlagChange};

use super::{Then, Xid};
use crate::output;

/// Show and change the flags and capabilities of a context
#[derive(Debug, Parser)]
#[command(
    name = "vattribute",
    version,
    after_help = "\
Lists have commas; ~ or ! in front of a name switches it off.

Examples:
  vattribute --get --xid web
  vattribute --set --xid web --flag ~persistent --ccap secure_mount --bcap !kill"
)]
pub(super) struct Attribute {
    /// Show them
    #[arg(long, conflicts_with_all = ["set", "flag", "ccap", "bcap", "umask", "secure"])]
    get: bool,
    /// With --get: as JSON
    #[arg(long, requires = "get")]
    json: bool,
    /// Change them: so it is without --get
    #[arg(long)]
    set: bool,
    #[command(flatten)]
    xid: Xid,
    /// Flags
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true)]
    pub(super) flag: Vec<FlagChange>,
    /// Context capabilities
    #[arg(long, value_name = "CCAPS", allow_hyphen_values = true, value_parser = ccaps)]
    ccap: Vec<FlagChange>,
    /// Linux capabilities that bound those inside: net_raw, CAP_NET_RAW
    #[arg(long, value_name = "BCAPS", allow_hyphen_values = true, value_parser = bcaps)]
    bcap: Vec<FlagChange>,
    /// Namespaces that may be made inside: newuts, newnet, user
    #[arg(long, value_name = "KINDS", allow_hyphen_values = true, value_parser = umask)]
    umask: Vec<FlagChange>,
    /// The Linux capabilities of a guest and no context capability, but for what is named beside
    #[arg(long)]
    secure: bool,
    #[command(flatten)]
    pub(super) then: Then,
}

fn ccaps(list: &str) -> Result<FlagChange> {
    FlagChange::parse(list, |name| CCAPS.bit(name))
}

fn bcaps(list: &str) -> Result<FlagChange> {
    FlagChange::parse(list, |name| {
        let upper = name.to_ascii_uppercase();
        let cap = CapabilitySet::from_name(upper.strip_prefix("CAP_").unwrap_or(&upper));
        cap.map(|cap| cap.bits()).ok_or_else(|| {
            Error::Invalid(format!(
                "{name}: no such capability; they are named as in capabilities(7)"
            ))
        })
    })
}

fn umask(list: &str) -> Result<FlagChange> {
    FlagChange::parse(list, |name| {
        let lower = name.to_ascii_lowercase();
        match lower.strip_prefix("new").unwrap_or(&lower) {
            "ns" => Ok(u64::from(UnshareFlags::NEWNS.bits())),
            name => name.parse::<Kind>().map(|kind| u64::from(kind.0.bits())),
        }
    })
}

/// The changes one after the other; `first` may be overruled.
fn all(first: FlagChange, changes: &[FlagChange]) -> FlagChange {
    changes.iter().fold(first, |all, change| all.and(*change))
}

pub(super) fn attribute(args: &Attribute) -> anyhow::Result<ExitCode> {
    let xid = args.xid.get()?;
    if args.get {
        show(context::bits(xid)?, args.json)?;
        return args.then.run();
    }
    let only = |set| match args.secure {
        true => FlagChange { set, clear: !set },
        false => FlagChange::default(),
    };
    let bcaps = all(only(Caps::guest().bits()), &args.bcap);
    let ccaps = all(only(0), &args.ccap);
    let umask = all(FlagChange::default(), &args.umask);
    if bcaps.mask() != 0 {
        context::set_bcaps(xid, bcaps.set, bcaps.mask())?;
    }
    if ccaps.mask() != 0 {
        context::set_ccaps(xid, ccaps.set, ccaps.mask())?;
    }
    let flags = all(FlagChange::default(), &args.flag);
    context::change(xid, &SchedChange::default(), flags, false)?;
    if umask.mask() != 0 {
        context::set_umask(xid, umask.set, umask.mask())?;
    }
    args.then.run()
}

fn show(bits: Bits, as_json: bool) -> anyhow::Result<()> {
    let (may, flags) = (May::from(bits), CFLAGS.words(bits.flags));
    if as_json {
        return output::json(&json!({
            "bcapabilities": may.capabilities,
            "ccapabilities": may.context_capabilities,
            "flags": flags,
            "umask": may.namespaces,
        }));
    }
    for (what, words) in [
        ("bcapabilities", may.capabilities),
        ("ccapabilities", may.context_capabilities),
        ("flags", flags),
        ("umask", may.namespaces),
    ] {
        output::line(
            format_args!("{what}: {}", words.join(","))
                .to_string()
                .trim_end(),
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_old_are_taken() {
        let net_raw = CapabilitySet::NET_RAW.bits();
        let kill = CapabilitySet::KILL.bits();
        for (list, set, clear) in [
            ("CAP_NET_RAW,!kill", net_raw, kill),
            ("~cap_kill,net_raw", net_raw, kill),
        ] {
            let change = bcaps(list).unwrap();
            assert_eq!((change.set, change.clear), (set, clear), "{list}");
        }
        let uts = u64::from(UnshareFlags::NEWUTS.bits());
        for list in ["newuts", "UTS"] {
            assert_eq!(umask(list).unwrap().set, uts, "{list}");
        }
        assert!(umask("!newns").unwrap().clear > 0);
        for error in [bcaps("fly"), ccaps("fly"), umask("newfly")] {
            assert!(error.unwrap_err().to_string().contains("fly: no such"));
        }
    }

    #[test]
    fn what_is_named_overrules_secure() {
        let guest = Caps::guest().bits();
        let only = FlagChange {
            set: guest,
            clear: !guest,
        };
        let change = all(only, &[bcaps("net_raw,!kill").unwrap()]);
        assert_eq!(change.mask(), u64::MAX);
        let (net_raw, kill) = (CapabilitySet::NET_RAW, CapabilitySet::KILL);
        assert_eq!(change.set, (guest | net_raw.bits()) & !kill.bits());
    }

    #[test]
    fn showing_is_not_changing() {
        let words = ["vattribute", "--get", "--xid", "7", "--secure"];
        assert!(Attribute::try_parse_from(words).is_err());
        assert!(Attribute::try_parse_from(&words[..4]).is_ok());
        assert!(Attribute::try_parse_from(["vattribute", "--flag", "!persistent"]).is_ok());
    }
}
