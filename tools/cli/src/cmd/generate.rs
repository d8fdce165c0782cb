// SPDX-License-Identifier: GPL-2.0
//! `vserver generate`: manual pages and completions, from the definition of the command line.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;

use crate::args::{Cli, Generate};
use crate::output::line;
use crate::{classic, classic_files, classic_guests};

/// `vserver generate`
pub(crate) fn generate(args: &Generate) -> anyhow::Result<ExitCode> {
    if args.names {
        let names = classic::NAMES.iter();
        let names = names.chain(&classic_files::NAMES);
        let names = names.chain(&classic_guests::NAMES);
        names.copied().try_for_each(line)?;
    }
    if let Some(dir) = &args.dir {
        manual(&dir.join("man1"))?;
        completions(&dir.join("completions"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A page for the command, for each of its commands, and for its other names.
fn manual(dir: &Path) -> anyhow::Result<()> {
    make(dir)?;
    let writing = || format!("write to {}", dir.display());
    let command = Cli::command().disable_help_subcommand(true);
    let classic = [classic_files::commands(), classic_guests::commands()];
    for command in classic.into_iter().flatten().chain([command]) {
        clap_mangen::generate_to(command, dir).with_context(writing)?;
    }
    for name in classic::NAMES {
        let page = format!(".so man1/{}.1\n", classic::page(name));
        fs::write(dir.join(format!("{name}.1")), page).with_context(writing)?;
    }
    Ok(())
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
