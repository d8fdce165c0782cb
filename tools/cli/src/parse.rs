// SPDX-License-Identifier: GPL-2.0
//! The command line understood, or what is wrong with it told.

use std::ffi::OsString;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};
use clap::{CommandFactory, Parser};

use crate::args::{Cli, Command};

/// What is asked for. Ends this process if that can't be understood, or is asked for help.
pub(crate) fn parse(words: &[OsString]) -> Cli {
    try_parse(words).unwrap_or_else(|e| e.exit())
}

fn try_parse(words: &[OsString]) -> Result<Cli, Error> {
    let cli = Cli::try_parse_from(words).map_err(|e| with_order(e, words))?;
    match without_json(&cli.command).filter(|_| cli.json) {
        Some(why) => Err(Cli::command().error(
            ErrorKind::ArgumentConflict,
            format!("the argument '--json' cannot be used here: {why}"),
        )),
        None => Ok(cli),
    }
}

/// Says how it is written what had the guest before the verb, as with the tools of old.
fn with_order(mut error: Error, words: &[OsString]) -> Error {
    let Some(ContextValue::String(guest)) = error.get(ContextKind::InvalidSubcommand) else {
        return error;
    };
    let verb = words
        .iter()
        .skip_while(|word| *word != guest.as_str())
        .nth(1);
    if let Some(verb) = verb.and_then(|verb| today(verb.to_str()?)) {
        let tip = StyledStr::from(format!("the guest comes last: 'vserver {verb} {guest}'"));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    error
}

/// What a verb of old that was about one guest is called.
fn today(verb: &str) -> Option<&str> {
    match verb {
        "start" | "stop" | "restart" | "status" | "enter" | "exec" | "build" | "delete" => {
            Some(verb)
        }
        "running" => Some("status"),
        _ => None,
    }
}

/// Why a command has nothing to print as JSON.
fn without_json(command: &Command) -> Option<&'static str> {
    match command {
        Command::Run(args) if !args.detach => Some("the command that is run prints what it likes"),
        Command::Enter(_) => Some("the command that is run prints what it likes"),
        Command::Top(_) => Some("vserver stat --json prints what top shows, once"),
        Command::Generate(_) => Some("manual pages and completions are files"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> String {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        try_parse(&words).unwrap_err().to_string()
    }

    #[test]
    fn the_order_of_old_is_put_right() {
        for (line, tip) in [
            ("vserver web start", "'vserver start web'"),
            ("vserver --json web running", "'vserver status web'"),
            ("vserver web exec ls -l", "'vserver exec web'"),
        ] {
            let said = refused(line);
            let tip = format!("tip: the guest comes last: {tip}");
            assert!(said.contains("unrecognized subcommand 'web'"), "{said}");
            assert!(said.contains(&tip), "{line}: {said}");
        }
        for line in [
            "vserver frobnicate",
            "vserver web frobnicate",
            "vserver start",
        ] {
            let said = refused(line);
            assert!(!said.contains("comes last"), "{line}: {said}");
        }
    }

    #[test]
    fn who_has_no_json_says_so() {
        for line in [
            "vserver top --json",
            "vserver --json enter web",
            "vserver run --json -- true",
        ] {
            let said = refused(line);
            assert!(said.contains("'--json' cannot be used here: "), "{said}");
        }
        let words = ["vserver", "run", "--detach", "--json", "true"].map(OsString::from);
        assert!(try_parse(&words).is_ok());
    }
}
