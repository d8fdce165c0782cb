// SPDX-License-Identifier: GPL-2.0
//! `vserver top`: what contexts use, live.

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod terminal;
mod view;

use std::io::{self, IsTerminal};
use std::panic;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use rustix::process::nice;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use vserver::config::Store;
use vserver::context::{self, Target};
use vserver::disk::{self, Disk};
use vserver::usage::{self, Usage};

use crate::args::Top;
use view::View;

/// When what is known of a tree is too old.
const OLD: Duration = Duration::from_secs(600);

/// `vserver top`
pub(crate) fn top(args: &Top) -> anyhow::Result<ExitCode> {
    if !io::stdout().is_terminal() {
        bail!("top needs a terminal: vserver stat prints what it shows, once");
    }
    context::list()?;
    usage::become_spectator()?;
    // It ends with this process.
    thread::spawn(|| look_at_disks(&Store::system()));
    let view = View::new(args.sort, Box::new(Kernel(Store::system())));
    show(view, Duration::from_secs_f64(args.delay))?;
    Ok(ExitCode::SUCCESS)
}

/// Keeps what is known of the guests' trees from getting old, in the time that nobody else needs.
fn look_at_disks(store: &Store) {
    // Of this thread; if that can't be, it walks as fast as others.
    let _ = nice(19);
    loop {
        for name in store.names().unwrap_or_default() {
            let known = disk::known(store, &name);
            if known.is_none_or(|disk| disk.age_sec >= OLD.as_secs()) {
                // Then nothing is shown.
                let _ = disk::measure(store, &name);
            }
        }
        thread::sleep(OLD / 10);
    }
}

/// Where figures come from and signals go. Without the module there is nothing to look at, so that
/// tests have contexts of their own.
trait Contexts {
    /// What each uses, and what is known of its tree.
    fn usage(&self) -> vserver::Result<Vec<(Usage, Option<Disk>)>>;

    /// Sends a signal to all processes of one.
    fn kill(&self, xid: u32, signal: i32) -> vserver::Result<()>;
}

/// Those that there are; guests have their trees in this store.
struct Kernel(Store);

impl Contexts for Kernel {
    fn usage(&self) -> vserver::Result<Vec<(Usage, Option<Disk>)>> {
        let all = usage::usage(&usage::processes()?)?.into_iter();
        Ok(all
            .map(|usage| {
                let disk = disk::known(&self.0, &usage.name);
                (usage, disk)
            })
            .collect())
    }

    fn kill(&self, xid: u32, signal: i32) -> vserver::Result<()> {
        context::kill(xid, Target::All, signal)
    }
}

/// Shows it until somebody quits. Whatever ends it, the terminal is then what it was before.
fn show(mut view: View, delay: Duration) -> anyhow::Result<()> {
    view.look()?;
    let drawing = Arc::default();
    restore_at_signals(Arc::clone(&drawing))?;
    let shown = ratatui::try_init().map_err(Into::into).and_then(|mut t| {
        restore_at_panic();
        watch(&mut t, &mut view, delay, &drawing)
    });
    restore();
    shown
}

/// Makes the terminal what it was before. If it is gone, nobody needs that.
fn restore() {
    let _ = ratatui::try_restore();
    let _ = execute!(io::stdout(), Show);
}

/// A panic that aborts leaves nobody to show the cursor again.
fn restore_at_panic() {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        restore();
        hook(info);
    }));
}

/// A signal that ends this process does so when the terminal is restored, and not while somebody
/// draws.
fn restore_at_signals(drawing: Arc<Mutex<()>>) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM])?;
    thread::spawn(move || {
        for signal in signals.forever() {
            let _drawing = drawing.lock().unwrap_or_else(PoisonError::into_inner);
            restore();
            // It returns where there is none, which is so of none of these.
            let _ = emulate_default_handler(signal);
        }
    });
    Ok(())
}

fn watch(
    terminal: &mut ratatui::DefaultTerminal,
    view: &mut View,
    delay: Duration,
    drawing: &Mutex<()>,
) -> anyhow::Result<()> {
    loop {
        let next = Instant::now() + delay;
        view.look()?;
        loop {
            let drawn = drawing.lock().unwrap_or_else(PoisonError::into_inner);
            terminal.draw(|frame| view.draw(frame))?;
            drop(drawn);
            let left = next.saturating_duration_since(Instant::now());
            if left.is_zero() || !event::poll(left)? {
                break;
            }
            if let Event::Key(key) = event::read()? {
                if key.kind != KeyEventKind::Press {
                    continue;
                }
                let control = key.modifiers.contains(KeyModifiers::CONTROL);
                if control && key.code == KeyCode::Char('c') || view.press(key.code) {
                    return Ok(());
                }
            }
        }
    }
}
