// SPDX-License-Identifier: GPL-2.0
//! Printing: JSON, tables, figures.

use std::io::{self, Write};

use comfy_table::{CellAlignment, Table};
use serde::Serialize;

/// Prints a value as JSON.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from)?;
    Ok(writeln!(out)?)
}

/// Prints text and ends the line.
pub(crate) fn line(text: impl std::fmt::Display) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout().lock(), "{text}")?)
}

/// A table without lines; the columns whose headings start with `>` are right-aligned.
pub(crate) fn table<const N: usize>(
    heads: [&str; N],
    rows: Vec<[String; N]>,
) -> anyhow::Result<()> {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_header(heads.map(|head| head.trim_start_matches('>')));
    table.add_rows(rows);
    for (column, head) in table.column_iter_mut().zip(heads) {
        column.set_padding((0, 2));
        if head.starts_with('>') {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let text = table.to_string();
    for row in text.lines() {
        line(row.trim_end())?;
    }
    Ok(())
}

/// Milliseconds as a time: `0.350s`, `2m05s`, `3h07m`.
pub(crate) fn time(msec: u64) -> String {
    let sec = msec / 1000;
    match sec {
        0..60 => format!("{}.{:03}s", sec, msec % 1000),
        60..3600 => format!("{}m{:02}s", sec / 60, sec % 60),
        _ => format!("{}h{:02}m", sec / 3600, sec / 60 % 60),
    }
}

/// Bytes as people read them: `312 B`, `4.0 KiB`, `1.2 GiB`.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    let mut value = n as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        assert_eq!(time(0), "0.000s");
        assert_eq!(time(59_999), "59.999s");
        assert_eq!(time(125_000), "2m05s");
        assert_eq!(time(3_600_000 * 3 + 60_000 * 7), "3h07m");
    }

    #[test]
    fn bytes_are_short() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(4096), "4.0 KiB");
        assert_eq!(bytes(1024 * 1024 - 1), "1.0 MiB");
        assert_eq!(bytes(u64::MAX), "16384.0 PiB");
    }
}
