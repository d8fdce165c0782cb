// SPDX-License-Identifier: GPL-2.0
//! `vserver.toml(5)`, made of what the administrator's guide says of a guest's file.

use std::iter::Peekable;
use std::str::Lines;

use roff::{Inline, Roff, bold, roman};

const GUIDE: &str = include_str!("../../../../Documentation/admin-guide.rst");

/// Where the guide speaks of the file, and where of something else again.
const BEGIN: &str = "\nThe file\n--------\n";
const END: &str = "\nWhat a guest finds\n";

/// The page; `None` if the guide has no such section.
pub(super) fn page() -> Option<String> {
    let (_, rest) = GUIDE.split_once(BEGIN)?;
    let (section, _) = rest.split_once(END)?;
    let mut page = Roff::new();
    page.control("TH", ["vserver.toml", "5"]);
    page.control("SH", ["NAME"]);
    page.text([roman("vserver.toml - the file of a Linux-VServer guest")]);
    page.control("SH", ["SYNOPSIS"]);
    page.text([bold("/etc/vserver/"), roman("NAME"), bold(".toml")]);
    page.control("SH", ["DESCRIPTION"]);
    blocks(section, &mut page);
    page.control("SH", ["SEE ALSO"]);
    page.text([
        bold("vserver-config"),
        roman("(1), "),
        bold("vserver-start"),
        roman("(1), /usr/share/doc/vserver-tools"),
    ]);
    Some(page.render())
}

/// Paragraphs, examples and tables, as far as the guide has them.
fn blocks(section: &str, page: &mut Roff) {
    let mut lines = section.lines().peekable();
    while let Some(line) = lines.peek() {
        if line.is_empty() {
            lines.next();
        } else if line.starts_with(' ') {
            example(&mut lines, page);
        } else if line.starts_with("==") {
            table(&mut lines, page);
        } else {
            paragraph(&mut lines, page);
        }
    }
}

fn paragraph(lines: &mut Peekable<Lines<'_>>, page: &mut Roff) {
    let mut words = Vec::new();
    while let Some(line) = lines.next_if(|line| !line.is_empty()) {
        words.push(line);
    }
    let text = words.join(" ");
    page.control("PP", []);
    page.text(inline(text.strip_suffix(" ::").unwrap_or(&text)));
}

fn example(lines: &mut Peekable<Lines<'_>>, page: &mut Roff) {
    page.control("PP", []);
    page.control("nf", []);
    while let Some(line) = lines.next_if(|line| line.is_empty() || line.starts_with(' ')) {
        page.text([roman(line)]);
    }
    page.control("fi", []);
}

/// Of two columns, the first of which says what the other explains.
fn table(lines: &mut Peekable<Lines<'_>>, page: &mut Roff) {
    let border = lines.next().unwrap_or_default();
    let column = border.find(' ').unwrap_or(border.len());
    let is_border = |line: &&str| line.starts_with("==");
    let mut rows: Vec<(&str, String)> = Vec::new();
    let head = lines.next_if(|line| !is_border(line)).is_some();
    if head {
        lines.next_if(is_border);
    }
    while let Some(line) = lines.next_if(|line| !line.is_empty() && !is_border(line)) {
        let (key, text) = line.split_at_checked(column).unwrap_or((line, ""));
        match rows.last_mut() {
            Some((_, all)) if key.trim().is_empty() => {
                all.push(' ');
                all.push_str(text.trim());
            }
            _ => rows.push((key.trim(), text.trim().to_owned())),
        }
    }
    lines.next_if(is_border);
    for (key, text) in rows {
        page.control("TP", []);
        page.text([bold(key)]);
        page.text(inline(&text));
    }
}

/// What stands between double backquotes is bold.
fn inline(text: &str) -> Vec<Inline> {
    let parts = text.split("``").enumerate();
    parts
        .map(|(nth, part)| match nth % 2 {
            0 => roman(part),
            _ => bold(part),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_all_keys() {
        let page = page().unwrap().replace("\\-", "-");
        for words in [
            "\\fBmount\\fR\n",
            "\\fBinit.style\\fR\n\\fBsmall\\fR: an init of ours",
            "\\fBbuild\\fR\n",
            "[scheduler]\n",
            ".SH \"SEE ALSO\"\n",
        ] {
            assert!(page.contains(words), "{words}: {page}");
        }
        for odd in ["``", "====", "::"] {
            assert!(!page.contains(odd), "{odd}: {page}");
        }
    }
}
