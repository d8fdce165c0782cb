// SPDX-License-Identifier: GPL-2.0
//! `vserver generate`: manual pages and completions, from the definition of the command line.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;

use crate::args::{Cli, Generate};
use crate::classic_guests;
use crate::output::line;

/// `vserver generate`
pub(crate) fn generate(args: &Generate) -> anyhow::Result<ExitCode> {
    if args.names {
        classic_guests::NAMES.iter().try_for_each(line)?;
    }
    if let Some(dir) = &args.dir {
        manual(&dir.join("man1"))?;
        completions(&dir.join("completions"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A page for the command and each of its commands.
fn manual(dir: &Path) -> anyhow::Result<()> {
    make(dir)?;
    let command = Cli::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, dir).with_context(|| format!("write to {}", dir.display()))
}

fn completions(dir: &Path) -> anyhow::Result<()> {
    make(dir)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let name = shell.to_possible_value();
        let name = name.map_or_else(String::new, |v| v.get_name().to_owned());
        clap_complete::generate_to(shell, &mut Cli::command(), "vserver", dir)
            .with_context(|| format!("write completions for {name} to {}", dir.display()))?;
    }
    Ok(())
}

fn make(dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))
}
