// SPDX-License-Identifier: GPL-2.0
//! `apps/`: what is started in a guest, and when.

use super::super::Style;
use super::names::INIT;
use super::{Reading, entries};
use crate::error::Result;

impl Reading<'_> {
    pub(super) fn apps(&mut self) -> Result<()> {
        for name in entries(&self.dir.join("apps"))? {
            match name.as_str() {
                "init" => self.init()?,
                // The pool is beside the guests, wherever theirs was.
                "vunify" => match self.lines("apps/vunify/exclude") {
                    Ok(list) => self.guest.hashify.exclude = list,
                    // No reason not to start it.
                    Err(e) => self.note("apps/vunify/exclude", &e.to_string()),
                },
                other => self.note(&format!("apps/{other}"), "has no counterpart"),
            }
        }
        Ok(())
    }

    fn init(&mut self) -> Result<()> {
        for name in entries(&self.dir.join("apps/init"))? {
            if !INIT.contains(&name.as_str()) {
                self.note(&format!("apps/init/{name}"), "has no counterpart");
            }
        }
        let style = self.lines("apps/init/style")?.into_iter().next();
        let start = self.lines("apps/init/cmd.start")?;
        let stop = self.lines("apps/init/cmd.stop")?;
        let level = |name: &str, usual: &str| -> Result<String> {
            let given = self.lines(name)?.into_iter().next();
            Ok(given.unwrap_or_else(|| usual.to_owned()))
        };
        match style.as_deref() {
            Some("plain") => self.guest.init.style = Style::Sysv,
            Some("systemd") => self.guest.init.style = Style::Systemd,
            // Theirs had no init: the scripts of a runlevel were run, and what stayed was the guest.
            None | Some("sysv") if start.is_empty() => {
                let rc = |level| vec!["/etc/init.d/rc".to_owned(), level];
                let up = level("apps/init/runlevel.start", "3")?;
                let down = level("apps/init/runlevel.stop", "6")?;
                self.guest.init.command = rc(up);
                self.guest.stop.command = rc(down);
            }
            None | Some("sysv") => {}
            Some(other) => {
                let why = format!("{other} has no counterpart; see init.style");
                self.note("apps/init/style", &why);
            }
        }
        if !start.is_empty() {
            self.guest.init.command = start;
        }
        if !stop.is_empty() {
            self.guest.stop.command = stop;
        }
        self.guest.autostart = !self.lines("apps/init/mark")?.is_empty();
        self.guest.requires = self.lines("apps/init/depends")?;
        Ok(())
    }
}
