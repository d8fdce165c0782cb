// SPDX-License-Identifier: GPL-2.0
//! The `vserver` command: Linux-VServer contexts from the command line.

#![forbid(unsafe_code)]

mod args;
mod classic;
mod classic_files;
mod classic_guests;
mod cmd;
mod exit;
mod generator;
mod interrupt;
mod notify;
mod output;
mod parse;
mod progress;

use std::env;
use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use vserver::guest;

use args::{Attr, Cli, Command, Config};

fn main() -> ExitCode {
    let words: Vec<OsString> = env::args_os().collect();
    if let Some((name, words)) = words.split_first() {
        if name == guest::REAPER {
            return init(words.iter().cloned());
        }
        if name == guest::WATCHER {
            return end(watch(words.iter().cloned()));
        }
    }
    if let Some(code) = generator::run(&words) {
        return code;
    }
    if let Some(result) = classic_files::run(&words).or_else(|| classic_guests::run(&words)) {
        return end(result);
    }
    let Cli { json, command } = parse::parse(&classic::arguments(words.into_iter()));
    end(match command {
        Command::Run(args) => cmd::run::run(args, json),
        Command::Enter(args) => cmd::run::enter(args),
        Command::Build(args) => cmd::build::build(args, json),
        Command::Delete(args) => cmd::build::delete(&args, json),
        Command::Top(args) => cmd::top::top(&args),
        Command::Ps(args) => cmd::see::ps(&args, json),
        Command::Stat => cmd::see::stat(json),
        Command::Start(args) => cmd::guests::start(args, json),
        Command::Stop(args) => cmd::guests::stop(args, json),
        Command::Restart(args) => cmd::guests::restart(args, json),
        Command::Status(args) => cmd::guests::status(args, json),
        Command::List(args) => cmd::guests::list(&args, json),
        Command::Show(args) => cmd::state::show(&args, json),
        Command::Info => cmd::state::info(json),
        Command::Set(args) => cmd::control::set(&args, json),
        Command::Kill(args) => cmd::control::kill(&args, json),
        Command::Wait(args) => cmd::control::wait(&args, json),
        Command::Attr(Attr::Show(args)) => cmd::attr::show(&args, json),
        Command::Attr(Attr::Set(args)) => cmd::attr::change(&args, true, json),
        Command::Attr(Attr::Clear(args)) => cmd::attr::change(&args, false, json),
        Command::Attr(Attr::Tag(args)) => cmd::attr::tag(&args, json),
        Command::Disk(disk) => cmd::disk::disk(&disk, json),
        Command::Unify(args) => cmd::unify::unify(args, json),
        Command::Hashify(args) => cmd::hashify::hashify(&args, json),
        Command::Unhashify(args) => cmd::hashify::unhashify(&args, json),
        Command::Du(args) => cmd::du::du(&args, json),
        Command::Clone(args) => cmd::clone::clone(&args, json),
        Command::Deunify(args) => cmd::attr::deunify(&args, json),
        Command::Config(Config::Check(args)) => cmd::config::check(args, json),
        Command::Config(Config::Show(args)) => cmd::config::show(&args, json),
        Command::Config(Config::Convert(args)) => cmd::config::convert(&args, json),
        Command::Cleanup(args) => cmd::cleanup::cleanup(&args, json),
        Command::Generate(args) => cmd::generate::generate(&args),
    })
}

/// Says what went wrong, if anything did.
fn end(result: anyhow::Result<ExitCode>) -> ExitCode {
    match result {
        Ok(code) => code,
        // Whoever read our output has read enough.
        Err(e) if is_broken_pipe(&e) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("vserver: {e:#}");
            ExitCode::from(exit::status(&e))
        }
    }
}

/// Does as the small init of a guest, that this is.
fn init(words: impl Iterator<Item = OsString>) -> ExitCode {
    match guest::reaper(words) {
        Ok(status) => ExitCode::from(u8::try_from(status).unwrap_or(exit::FAILED)),
        Err(e) => {
            eprintln!("{}: {e}", guest::REAPER);
            ExitCode::from(exit::FAILED)
        }
    }
}

/// Watches a guest.
fn watch(words: impl Iterator<Item = OsString>) -> anyhow::Result<ExitCode> {
    guest::watcher(words)?;
    Ok(ExitCode::SUCCESS)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}
