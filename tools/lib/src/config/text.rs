// SPDX-License-Identifier: GPL-2.0
//! Values of configuration files that have a meaning beyond their text.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, RangeInclusive};
use std::str::FromStr;
use std::time::Duration;

use rustix::thread::UnshareFlags;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use vserver_abi as abi;

use crate::error::{Error, Result};
use crate::names::CCAPS;
use crate::signal;

/// A value that is understood when the file is read, and written as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text<T> {
    text: String,
    value: T,
}

impl<T> Deref for Text<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: FromStr> FromStr for Text<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        Ok(Self {
            text: text.to_owned(),
            value: text.parse()?,
        })
    }
}

impl<T> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.text.parse::<i64>() {
            Ok(number) => to.serialize_i64(number),
            Err(_) => to.serialize_str(&self.text),
        }
    }
}

impl<'de, T> Deserialize<'de> for Text<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Words(PhantomData))
    }
}

/// Reads a text or a whole number.
struct Words<T>(PhantomData<T>);

impl<T> Visitor<'_> for Words<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    type Value = Text<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text in quotes, or a number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<T>, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Text<T>, E> {
        self.visit_str(&number.to_string())
    }
}

/// The id of a context that an administrator chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Xid(pub u32);

/// The ids that may be chosen; above are those that the kernel picks.
const XIDS: RangeInclusive<u32> = abi::VX_XID_MIN..=abi::VX_XID_STATIC_MAX;

fn no_xid(given: impl fmt::Display) -> Error {
    let (first, last) = (XIDS.start(), XIDS.end());
    Error::Invalid(format!("{given}: ids go from {first} to {last}"))
}

impl TryFrom<u32> for Xid {
    type Error = Error;

    fn try_from(xid: u32) -> Result<Self> {
        let chosen = Some(xid).filter(|xid| XIDS.contains(xid));
        chosen.map(Self).ok_or_else(|| no_xid(xid))
    }
}

impl FromStr for Xid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = text.parse::<u32>().map_err(|_| no_xid(text))?;
        Self::try_from(number)
    }
}

/// A time: `90`, `90s`, `2m`, `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Duration);

impl FromStr for Time {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (digits, unit) = match text.strip_suffix(['s', 'm', 'h']) {
            Some(digits) => (digits, &text[digits.len()..]),
            None => (text, "s"),
        };
        let factor = match unit {
            "m" => 60,
            "h" => 3600,
            _ => 1,
        };
        let seconds = digits.parse::<u32>().ok();
        seconds
            .map(|n| Self(Duration::from_secs(u64::from(n) * factor)))
            .ok_or_else(|| Error::Invalid(format!("{text}: not a time; say 90s, 2m or 1h")))
    }
}

/// A signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal(pub i32);

impl FromStr for Signal {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        signal::parse(text).map(Self)
    }
}

/// A namespace that a context gets of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespace(pub UnshareFlags);

impl FromStr for Namespace {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "none" => Err(Error::Invalid("none: leave the list empty instead".into())),
            text => crate::guest::namespaces(text).map(Self),
        }
    }
}

/// A kind of namespace that may be made inside a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind(pub UnshareFlags);

/// Kinds that a context does not get from outside.
const INSIDE_ONLY: [(&str, UnshareFlags); 3] = [
    ("user", UnshareFlags::NEWUSER),
    ("pid", UnshareFlags::NEWPID),
    ("time", UnshareFlags::NEWTIME),
];

impl FromStr for Kind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match INSIDE_ONLY.iter().find(|(name, _)| *name == text) {
            Some((_, kind)) => Ok(Self(*kind)),
            None => text.parse::<Namespace>().map(|n| Self(n.0)),
        }
    }
}

/// A context capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ccap(pub u64);

impl FromStr for Ccap {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        CCAPS.bit(text).map(Self)
    }
}

/// A name that `uname(2)` says, of at most 64 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UtsName(pub String);

impl FromStr for UtsName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match (1..=64).contains(&text.len()) && !text.chars().any(char::is_control) {
            true => Ok(Self(text.to_owned())),
            false => Err(Error::Invalid(format!(
                "{text:?}: a name has 1 to 64 bytes, and no control characters"
            ))),
        }
    }
}

/// What is added to the `oom_score_adj` of a context's processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Badness(pub i64);

impl FromStr for Badness {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bias = text.parse().ok().filter(|n| (-1000..=1000).contains(n));
        bias.map(Self)
            .ok_or_else(|| Error::Invalid(format!("{text}: not in -1000 to 1000")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let seconds = |text: &str| text.parse::<Time>().map(|t| t.0.as_secs());
        assert_eq!(seconds("90").unwrap(), 90);
        assert_eq!(seconds("90s").unwrap(), 90);
        assert_eq!(seconds("2m").unwrap(), 120);
        assert_eq!(seconds("1h").unwrap(), 3600);
        for bad in ["", "s", "-1", "1.5s", "1d", "m5"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_are_those_of_contexts() {
        assert_eq!("2".parse::<Xid>().unwrap(), Xid(2));
        for bad in ["0", "1", "49152", "-2", "web"] {
            assert!(bad.parse::<Xid>().is_err(), "{bad}");
        }
    }

    #[test]
    fn more_kinds_may_be_made_inside() {
        assert!("user".parse::<Kind>().is_ok());
        assert!("mnt".parse::<Kind>().is_ok());
        assert!("user".parse::<Namespace>().is_err());
        assert!("none".parse::<Namespace>().is_err());
    }
}
