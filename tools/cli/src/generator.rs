// SPDX-License-Identifier: GPL-2.0
//! The command as a generator of systemd: what it is called says so.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use vserver::config::Store;
use vserver::config::units::{self, GENERATOR};

use crate::exit;

/// The kernel takes no longer records.
const RECORD: usize = 1000;

/// Tell systemd in which order guests are started and stopped
#[derive(Debug, Parser)]
#[command(
    name = GENERATOR,
    version,
    after_help = "\
systemd runs this at boot and for systemctl daemon-reload, see systemd.generator(7). For each guest with
requires or after in its file, /etc/vserver/NAME.toml, it orders the unit vserver@NAME.service: that is
started after those of the guests named there, and stopped before them. Those that the guest requires are
started along. A change of these keys takes a systemctl daemon-reload.

What is wrong with a file is said in the kernel's log, and guests that wait for each other are named; the
others have their order."
)]
pub(crate) struct Generator {
    /// Where what is generated goes
    #[arg(value_name = "NORMAL-DIR")]
    normal: PathBuf,
    /// Where nothing is written: there is no need for it to be stronger or weaker
    #[arg(value_name = "OTHER-DIR", num_args = ..=2)]
    _others: Vec<PathBuf>,
}

/// Does as the generator, if the first word names that.
pub(crate) fn run(words: &[OsString]) -> Option<ExitCode> {
    let name = Path::new(words.first()?).file_name()?;
    (name == OsStr::new(GENERATOR)).then(|| generate(&Generator::parse_from(words)))
}

fn generate(args: &Generator) -> ExitCode {
    match units::write(&Store::system(), &args.normal, &mut say) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            say(&e.to_string());
            ExitCode::from(exit::of(&e))
        }
    }
}

/// Says it where somebody hears it: there is nobody at the standard error of what systemd runs so early,
/// nor a journal, which reads the kernel's log later.
fn say(message: &str) {
    let message = format!("{GENERATOR}: {message}");
    eprintln!("{message}");
    if env::var_os("SYSTEMD_SCOPE").is_some() {
        let record = format!("<4>{message}\n");
        let record = record.as_bytes();
        // It is not there in a container.
        let log = OpenOptions::new().write(true).open("/dev/kmsg");
        let _ = log.and_then(|mut log| log.write_all(&record[..record.len().min(RECORD)]));
    }
}
