// SPDX-License-Identifier: GPL-2.0
//! Signals by name, and how processes end.

use crate::error::{Error, Result};

/// The signals of x86 from 1 on.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// The first real-time signal that the C library leaves to programs,
const RTMIN: i32 = 34;
/// and the last.
const MAX: i32 = 64;

/// The signal that `text` means: `TERM`, `SIGTERM`, `15`, `RTMIN+4`.
pub fn parse(text: &str) -> Result<i32> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let by_name = (1..)
        .zip(NAMES)
        .find(|(_, n)| *n == name)
        .map(|(number, _)| number);
    let real_time = || {
        let number = name.strip_prefix("RTMIN+")?.parse::<i32>().ok()?;
        RTMIN
            .checked_add(number)
            .filter(|n| (RTMIN..=MAX).contains(n))
    };
    by_name
        .or_else(real_time)
        .or_else(|| text.parse().ok().filter(|n| (0..=MAX).contains(n)))
        .ok_or_else(|| Error::Invalid(format!("{text}: no such signal; say TERM, SIGTERM or 15")))
}

/// The exit status that a shell shows for what `wait(2)` reports.
pub fn exit_status(wait_status: i32) -> i32 {
    match wait_status & 0x7f {
        0 => (wait_status >> 8) & 0xff,
        signal => 128 + signal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_by_name_and_number() {
        for text in ["TERM", "term", "SIGTERM", "15"] {
            assert_eq!(parse(text).unwrap(), 15);
        }
        assert_eq!(parse("KILL").unwrap(), 9);
        assert_eq!(parse("SYS").unwrap(), 31);
        assert_eq!(parse("0").unwrap(), 0);
        assert_eq!(parse("SIGRTMIN+4").unwrap(), 38);
        for text in ["", "65", "-1", "SIG", "SIGNOTHING", "RTMIN+31", "RTMIN+-1"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn exit_statuses_are_the_shells() {
        assert_eq!(exit_status(0), 0);
        assert_eq!(exit_status(3 << 8), 3);
        assert_eq!(exit_status(9), 137);
        assert_eq!(exit_status(0x80 | 11), 139);
    }
}
