// SPDX-License-Identifier: GPL-2.0
//! `vserver config`: the files of guests.

use std::process::ExitCode;

use serde_json::json;
use vserver::config::{Store, check, legacy, store::Source};
use vserver::error::Error;

use crate::args::{Convert, Guest, Guests};
use crate::exit;
use crate::output::{self, line};

/// `vserver config check`
pub(crate) fn check(args: Guests, json: bool) -> anyhow::Result<ExitCode> {
    let store = Store::system();
    let (names, mut errors) = match args.guest.is_empty() {
        true => (store.names()?, store.misnamed()?),
        false => (args.guest, Vec::new()),
    };
    errors.extend(check::together(&store, &names)?);
    match json {
        true => output::json(&json!({
            "guests": names,
            "errors": errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }))?,
        false => {
            for error in &errors {
                eprintln!("vserver: {error}");
            }
            if errors.is_empty() {
                let guests = if names.len() == 1 { "guest" } else { "guests" };
                line(format_args!("{} {guests}, all is well", names.len()))?;
            }
        }
    }
    Ok(match errors.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(exit::CONFIG),
    })
}

/// `vserver config show`
pub(crate) fn show(args: &Guest, json: bool) -> anyhow::Result<ExitCode> {
    let store = Store::system();
    let guest = store.load(&args.guest)?;
    match json {
        true => output::json(&json!({
            "name": args.guest,
            "source": store.source(&args.guest)?.path(),
            "root": store.root(&args.guest, &guest),
            "config": guest,
        }))?,
        false => {
            line(format_args!(
                "# {}",
                store.source(&args.guest)?.path().display()
            ))?;
            line(guest.to_toml()?.trim_end())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `vserver config convert`
pub(crate) fn convert(args: &Convert, json: bool) -> anyhow::Result<ExitCode> {
    let store = Store::system();
    let mut converted = Vec::new();
    for name in &args.guest {
        let dir = store.legacy_dir().join(name);
        if !dir.is_dir() {
            return Err(Error::NoGuest(name.clone()).into());
        }
        let file = store.file(name);
        let there = matches!(store.source(name)?, Source::File(_));
        if there && !args.force && !args.dry_run {
            let path = file.display();
            return Err(Error::Busy(format!("{path} is there: --force replaces it")).into());
        }
        let old = legacy::read(&dir)?;
        let text = old.guest.to_toml()?;
        if !args.dry_run {
            store.save(name, &text)?;
        }
        match (json, args.dry_run) {
            (true, _) => {}
            (false, true) => line(text.trim_end())?,
            (false, false) => line(file.display())?,
        }
        for note in &old.notes {
            eprintln!("vserver: {}: left out: {note}", dir.display());
        }
        converted.push(json!({
            "name": name,
            "file": file,
            "dry_run": args.dry_run,
            "config": old.guest,
            "left_out": old.notes,
        }));
    }
    if json {
        output::json(&converted)?;
    }
    Ok(ExitCode::SUCCESS)
}
