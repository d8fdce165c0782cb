// SPDX-License-Identifier: GPL-2.0
//! `vserver generate`: manual pages and completions, from the definition of the command line.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Command, CommandFactory, ValueEnum};
use clap_complete::Shell;
use clap_mangen::Man;

use super::file_page;
use crate::args::{Cli, Generate};
use crate::generator::Generator;
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
        page_of_file(&dir.join("man5"))?;
        page_of_generator(&dir.join("man8"))?;
        completions(&dir.join("completions"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A page for the command, for each of its commands, and for its other names.
fn manual(dir: &Path) -> anyhow::Result<()> {
    make(dir)?;
    let writing = || format!("write to {}", dir.display());
    for command in commands() {
        let command = command.disable_help_subcommand(true);
        clap_mangen::generate_to(command, dir).with_context(writing)?;
    }
    Ok(())
}

/// The page of a guest's file.
fn page_of_file(dir: &Path) -> anyhow::Result<()> {
    make(dir)?;
    let page = file_page::page().context("the guide does not say what is in a guest's file")?;
    let path = dir.join("vserver.toml.5");
    fs::write(&path, page).with_context(|| format!("write {}", path.display()))
}

/// The page of what nobody but systemd calls.
fn page_of_generator(dir: &Path) -> anyhow::Result<()> {
    make(dir)?;
    let page = Man::new(Generator::command()).section("8");
    page.generate_to(dir)
        .with_context(|| format!("write to {}", dir.display()))?;
    Ok(())
}

/// The command, and those that its other names stand for.
fn commands() -> impl Iterator<Item = Command> {
    let classic = [
        classic::commands(),
        classic_files::commands(),
        classic_guests::commands(),
    ];
    classic.into_iter().flatten().chain([Cli::command()])
}

fn completions(dir: &Path) -> anyhow::Result<()> {
    make(dir)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let name = shell.to_possible_value();
        let name = name.map_or_else(String::new, |v| v.get_name().to_owned());
        for mut command in commands() {
            let called = command.get_name().to_owned();
            clap_complete::generate_to(shell, &mut command, called, dir)
                .with_context(|| format!("write completions for {name} to {}", dir.display()))?;
        }
    }
    Ok(())
}

fn make(dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))
}
