// SPDX-License-Identifier: GPL-2.0
//! Racers that are no threads.

use crate::process::{Child, pipe, spawn};
use anyhow::{Context as _, Result, bail};
use rustix::fd::OwnedFd;
use std::fs::File;
use std::io::{Read as _, Write as _};

/// A process of its own, for what a thread can't be: in another context or mount namespace. It
/// does its work each time it is asked.
pub struct Worker {
    ask: OwnedFd,
    answer: File,
    _child: Child,
}

impl Worker {
    /// `prepare` makes the process what it is to be.
    pub fn new(
        prepare: impl FnOnce() -> Result<()>,
        mut work: impl FnMut() -> Result<()>,
    ) -> Result<Self> {
        let (mut asked, ask) = pipe()?;
        let (answer, answered) = pipe()?;
        let child = spawn(|| {
            let mut answered = File::from(answered);
            let mut done = prepare();
            loop {
                let text = done.map_or_else(|e| format!("{e:#}"), |()| String::new());
                let length = (text.len() as u32).to_ne_bytes();
                let told = answered.write_all(&[&length, text.as_bytes()].concat());
                // Its end is that nobody asks any more.
                if told.is_err() || asked.read_exact(&mut [0]).is_err() {
                    return 0;
                }
                done = work();
            }
        })?;
        let worker = Self {
            ask,
            answer,
            _child: child,
        };
        worker.answer().context("to prepare")?;
        Ok(worker)
    }

    /// Has the work done.
    pub fn work(&self) -> Result<()> {
        rustix::io::write(&self.ask, b"x")?;
        self.answer()
    }

    fn answer(&self) -> Result<()> {
        let mut answer = &self.answer;
        let mut length = [0; 4];
        answer.read_exact(&mut length).context("the worker")?;
        let mut text = vec![0; u32::from_ne_bytes(length) as usize];
        answer.read_exact(&mut text).context("the worker")?;
        if text.is_empty() {
            return Ok(());
        }
        bail!("{}", String::from_utf8_lossy(&text))
    }
}
