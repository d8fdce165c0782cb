// SPDX-License-Identifier: GPL-2.0
//! A program on a pseudo terminal, with somebody who types and reads the screen.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

/// How long a slow machine may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal with a program that runs on it.
pub struct Terminal {
    keyboard: File,
    /// The program's end, which keeps its modes when the program has ended.
    other_end: Option<File>,
    child: Child,
    screen: Arc<Mutex<Screen>>,
    reader: JoinHandle<()>,
}

struct Screen {
    parser: vt100::Parser,
    bytes: Vec<u8>,
}

impl Terminal {
    /// Starts a program on a new terminal, of 24 lines of 150 characters.
    pub fn start(command: &mut Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let other_end = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlags::NOCTTY.bits() as i32)
            .open(PathBuf::from(name.to_str().unwrap()))
            .unwrap();
        let size = Winsize {
            ws_row: 24,
            ws_col: 150,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&other_end, size).unwrap();
        let end = || OwnedFd::from(other_end.try_clone().unwrap());
        command.stdin(end()).stdout(end()).stderr(end());
        let child = command.env("TERM", "xterm").spawn().unwrap();
        // It holds the program's end.
        command.stdin(std::process::Stdio::null());
        command.stdout(std::process::Stdio::null());
        command.stderr(std::process::Stdio::null());
        let screen = Arc::new(Mutex::new(Screen {
            parser: vt100::Parser::new(24, 150, 0),
            bytes: Vec::new(),
        }));
        let (mut from, to) = (File::from(master), Arc::clone(&screen));
        let keyboard = from.try_clone().unwrap();
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            // An error is the end: nobody has the other one open.
            while let Ok(read @ 1..) = from.read(&mut buffer) {
                let mut screen = to.lock().unwrap();
                screen.parser.process(&buffer[..read]);
                screen.bytes.extend_from_slice(&buffer[..read]);
            }
        });
        Self {
            keyboard,
            other_end: Some(other_end),
            child,
            screen,
            reader,
        }
    }

    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// What can be read on the screen, a line each.
    pub fn text(&self) -> String {
        self.screen.lock().unwrap().parser.screen().contents()
    }

    /// Waits until the screen is so.
    pub fn until(&mut self, what: &str, is_so: impl Fn(&str) -> bool) {
        let begin = Instant::now();
        loop {
            let text = self.text();
            if is_so(&text) {
                return;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && begin.elapsed() < PATIENCE,
                "never: {what}; ended: {ended:?}; screen:\n{text}"
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether what is typed comes line by line, and is shown, as programs like a shell expect it.
    pub fn is_ordinary(&self) -> bool {
        let modes = tcgetattr(self.other_end.as_ref().unwrap()).unwrap();
        modes
            .local_modes
            .contains(LocalModes::ICANON | LocalModes::ECHO)
    }

    /// Waits for the program's end; with what it left of the terminal, and all that it wrote.
    pub fn end(mut self) -> (ExitStatus, Left) {
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begin.elapsed() < PATIENCE, "it goes on:\n{}", self.text());
            thread::sleep(Duration::from_millis(5));
        };
        let ordinary = self.is_ordinary();
        drop(self.other_end.take());
        self.reader.join().unwrap();
        let screen = self.screen.lock().unwrap();
        let left = Left {
            ordinary: ordinary
                && !screen.parser.screen().alternate_screen()
                && !screen.parser.screen().hide_cursor(),
            screen: screen.parser.screen().contents(),
            written: String::from_utf8_lossy(&screen.bytes).into_owned(),
        };
        (status, left)
    }
}

/// What a program has left.
pub struct Left {
    /// The terminal is as it was before.
    pub ordinary: bool,
    /// What can be read on the screen.
    pub screen: String,
    /// All that it wrote, with what is for the terminal alone.
    pub written: String,
}
