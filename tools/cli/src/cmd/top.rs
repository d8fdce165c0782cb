// SPDX-License-Identifier: GPL-2.0
//! `vserver top`: what contexts use, live.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Modifier, Style};
use ratatui::widgets::{Cell, Paragraph, Row, Table, TableState};
use rustix::process::nice;
use vserver::config::Store;
use vserver::context::{self, Target};
use vserver::disk::{self, Disk};
use vserver::signal;
use vserver::usage::{self, Usage};

use super::state::taken;
use crate::args::{Column, Top};
use crate::output::{bytes, time};

/// `vserver top`
pub(crate) fn top(args: &Top) -> anyhow::Result<ExitCode> {
    if !io::stdout().is_terminal() {
        bail!("top needs a terminal: vserver stat prints what it shows, once");
    }
    context::list()?;
    usage::become_spectator()?;
    // It ends with this process.
    thread::spawn(|| look_at_disks(&Store::system()));
    let mut view = View::new(args.sort);
    view.look()?;
    let mut terminal = ratatui::try_init()?;
    let result = watch(
        &mut terminal,
        &mut view,
        Duration::from_secs_f64(args.delay),
    );
    ratatui::restore();
    result?;
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

fn watch(
    terminal: &mut ratatui::DefaultTerminal,
    view: &mut View,
    delay: Duration,
) -> anyhow::Result<()> {
    loop {
        let next = Instant::now() + delay;
        view.look()?;
        loop {
            terminal.draw(|frame| view.draw(frame))?;
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

/// When what is known of a tree is too old.
const OLD: Duration = Duration::from_secs(600);

/// A line: what a context uses, and what it used since the last look.
struct Line {
    usage: Usage,
    disk: Option<Disk>,
    /// Of one CPU, in percent.
    cpu: f64,
    /// Of the time, in percent, all its processes together.
    held: f64,
}

/// A signal that is being typed.
#[derive(Debug, PartialEq, Eq)]
struct Question {
    /// The context that was chosen then: another one may be by now.
    xid: u32,
    typed: String,
}

struct View {
    store: Store,
    lines: Vec<Line>,
    last: HashMap<u32, (u64, u64)>,
    looked: Instant,
    sort: Column,
    reverse: bool,
    chosen: TableState,
    /// The signal that is being typed.
    signal: Option<Question>,
    said: String,
}

const HELP: &str = "c m d p h t n x sort  r reverse  \u{2191}\u{2193} choose  k kill  q quit";

impl View {
    fn new(sort: Column) -> Self {
        Self {
            store: Store::system(),
            lines: Vec::new(),
            last: HashMap::new(),
            looked: Instant::now(),
            sort,
            reverse: false,
            chosen: TableState::default().with_selected(0),
            signal: None,
            said: HELP.to_owned(),
        }
    }

    /// Takes new figures.
    fn look(&mut self) -> anyhow::Result<()> {
        let passed = self.looked.elapsed().as_secs_f64() * 1000.0;
        self.looked = Instant::now();
        let chosen = self.chosen_xid();
        let all = usage::usage(&usage::processes()?)?;
        let now = all.iter().map(|u| (u.xid, (u.cpu_msec, u.hold_msec)));
        let now: HashMap<_, _> = now.collect();
        self.lines = all
            .into_iter()
            .map(|usage| {
                let last = self.last.get(&usage.xid);
                let (cpu, held) = last.copied().unwrap_or((usage.cpu_msec, usage.hold_msec));
                let percent =
                    |now: u64, then: u64| 100.0 * now.saturating_sub(then) as f64 / passed;
                Line {
                    cpu: percent(usage.cpu_msec, cpu),
                    held: percent(usage.hold_msec, held),
                    disk: disk::known(&self.store, &usage.name),
                    usage,
                }
            })
            .collect();
        self.last = now;
        self.sort_lines(chosen);
        Ok(())
    }

    fn chosen_xid(&self) -> Option<u32> {
        let line = self.lines.get(self.chosen.selected()?)?;
        Some(line.usage.xid)
    }

    /// Sorts; what is chosen stays so.
    fn sort_lines(&mut self, chosen: Option<u32>) {
        self.lines.sort_by(|a, b| compare(self.sort, a, b));
        if self.reverse {
            self.lines.reverse();
        }
        let place = self.lines.iter().position(|l| Some(l.usage.xid) == chosen);
        self.chosen.select(Some(place.unwrap_or(0)));
    }

    /// Does what a key asks for; says whether that is to quit.
    fn press(&mut self, key: KeyCode) -> bool {
        if self.signal.is_some() {
            self.type_signal(key);
            return false;
        }
        let column = match key {
            KeyCode::Char('q') | KeyCode::Esc => return true,
            KeyCode::Down => {
                self.chosen.select_next();
                return false;
            }
            KeyCode::Up => {
                self.chosen.select_previous();
                return false;
            }
            KeyCode::Char('k') => {
                self.ask_signal();
                return false;
            }
            KeyCode::Char('r') => {
                self.reverse = !self.reverse;
                self.sort
            }
            KeyCode::Char('c') => Column::Cpu,
            KeyCode::Char('m') => Column::Memory,
            KeyCode::Char('d') => Column::Disk,
            KeyCode::Char('p') => Column::Processes,
            KeyCode::Char('h') => Column::Hold,
            KeyCode::Char('t') => Column::Tokens,
            KeyCode::Char('n') => Column::Name,
            KeyCode::Char('x') => Column::Xid,
            _ => return false,
        };
        self.sort = column;
        self.said = HELP.to_owned();
        self.sort_lines(self.chosen_xid());
        false
    }

    fn ask_signal(&mut self) {
        match self.chosen_xid() {
            Some(0) | None => self.said = "choose a context with the arrows first".to_owned(),
            Some(xid) => {
                self.signal = Some(Question {
                    xid,
                    typed: "TERM".to_owned(),
                });
                self.said =
                    format!("signal for all in context {xid} (Enter sends, Esc does not): ");
            }
        }
    }

    fn type_signal(&mut self, key: KeyCode) {
        let Some(Question { xid, typed }) = &mut self.signal else {
            return;
        };
        match key {
            KeyCode::Char(c) => typed.push(c),
            KeyCode::Backspace => {
                typed.pop();
            }
            KeyCode::Enter => {
                let sent = signal::parse(typed)
                    .and_then(|number| context::kill(*xid, Target::All, number));
                self.said = match sent {
                    Ok(()) => format!("SIG{} is sent", typed.to_uppercase()),
                    Err(e) => e.to_string(),
                };
                self.signal = None;
            }
            KeyCode::Esc => {
                self.signal = None;
                self.said = HELP.to_owned();
            }
            _ => {}
        }
    }

    fn draw(&mut self, frame: &mut Frame<'_>) {
        let areas = Layout::vertical([Constraint::Min(1), Constraint::Length(1)]);
        let [body, foot] = areas.areas(frame.area());
        let heads = [
            "XID", "NAME", "STATE", "CPU%", "LIMIT%", "TOKENS", "HELD%", "RSS", "MEMORY", "LIMIT",
            "DISK", "PROC", "CPU TIME",
        ];
        let widths = [5, 20, 8, 6, 7, 7, 6, 10, 10, 10, 16, 5, 10].map(Constraint::Length);
        let rows = self.lines.iter().map(row);
        let table = Table::new(rows, widths)
            .header(Row::new(heads.map(Cell::from)).style(Modifier::BOLD))
            .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
        frame.render_stateful_widget(table, body, &mut self.chosen);
        let typed = self.signal.as_ref().map_or("", |q| &q.typed);
        frame.render_widget(Paragraph::new(format!("{}{typed}", self.said)), foot);
    }
}

/// The highest first, but names and ids the lowest.
fn compare(column: Column, a: &Line, b: &Line) -> Ordering {
    let (x, y) = (&a.usage, &b.usage);
    let first = match column {
        Column::Cpu => b.cpu.total_cmp(&a.cpu),
        Column::Memory => in_memory(y).cmp(&in_memory(x)),
        Column::Disk => own_bytes(b).cmp(&own_bytes(a)),
        Column::Processes => y.processes.cmp(&x.processes),
        Column::Hold => b.held.total_cmp(&a.held),
        Column::Tokens => y.tokens.cmp(&x.tokens),
        Column::Name => x.name.cmp(&y.name),
        Column::Xid => Ordering::Equal,
    };
    first.then(x.xid.cmp(&y.xid))
}

/// What it has of memory, or what its processes have, if that is all that is known.
fn in_memory(usage: &Usage) -> u64 {
    usage.memory.map_or(usage.resident_bytes, |m| m.used)
}

fn own_bytes(line: &Line) -> Option<u64> {
    line.disk.map(|disk| disk.own_bytes)
}

fn row(line: &Line) -> Row<'_> {
    let u = &line.usage;
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    Row::new([
        u.xid.to_string(),
        u.name.clone(),
        u.state.to_owned(),
        format!("{:.1}", line.cpu),
        or_dash(u.limit_percent.map(|p| format!("{p:.1}"))),
        or_dash(u.tokens.map(|t| t.to_string())),
        format!("{:.1}", line.held),
        bytes(u.resident_bytes),
        or_dash(u.memory.map(|m| bytes(m.used))),
        or_dash(u.memory.and_then(|m| m.limit).map(bytes)),
        or_dash(line.disk.map(taken)),
        u.processes.to_string(),
        time(u.cpu_msec),
    ])
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use vserver::cgroup::Memory;

    use super::*;

    fn view() -> View {
        let mut view = View::new(Column::Cpu);
        for (xid, name, cpu, memory) in [
            (0, "host", 1.0, 50),
            (7, "web", 20.0, 10),
            (8, "db", 5.0, 90),
        ] {
            let usage = Usage {
                xid,
                name: name.to_owned(),
                processes: 1,
                virtual_bytes: 0,
                resident_bytes: memory << 20,
                memory: (xid == 7).then_some(Memory {
                    used: 30 << 20,
                    limit: Some(64 << 20),
                    swap_used: 0,
                    swap_limit: None,
                    oom_kills: 0,
                }),
                cpu_msec: 1000,
                user_msec: 500,
                sys_msec: 500,
                hold_msec: 0,
                tokens: (xid == 7).then_some(42),
                limit_percent: (xid == 7).then_some(25.0),
                uptime_msec: None,
                state: "running",
            };
            let disk = (xid == 8).then_some(Disk {
                own_bytes: 3 << 30,
                shared_bytes: 0,
                age_sec: 120,
            });
            view.lines.push(Line {
                usage,
                disk,
                cpu,
                held: 0.0,
            });
        }
        view.sort_lines(None);
        view
    }

    fn names(view: &View) -> Vec<&str> {
        view.lines.iter().map(|l| l.usage.name.as_str()).collect()
    }

    #[test]
    fn keys_sort_and_choose() {
        let mut view = view();
        assert_eq!(names(&view), ["web", "db", "host"]);
        assert!(!view.press(KeyCode::Down));
        assert_eq!(view.chosen_xid(), Some(8));
        view.press(KeyCode::Char('m'));
        assert_eq!(names(&view), ["db", "host", "web"]);
        assert_eq!(view.chosen_xid(), Some(8), "what is chosen stays so");
        view.press(KeyCode::Char('r'));
        assert_eq!(names(&view), ["web", "host", "db"]);
        view.press(KeyCode::Char('r'));
        view.press(KeyCode::Char('d'));
        assert_eq!(names(&view), ["db", "host", "web"]);
        assert!(view.press(KeyCode::Char('q')));
    }

    #[test]
    fn a_signal_is_typed_and_the_host_spared() {
        let mut view = view();
        view.press(KeyCode::Char('k'));
        let asked = Question {
            xid: 7,
            typed: "TERM".to_owned(),
        };
        assert_eq!(view.signal, Some(asked));
        assert!(!view.press(KeyCode::Char('q')), "it is a letter now");
        view.press(KeyCode::Backspace);
        view.press(KeyCode::Esc);
        assert_eq!(view.signal, None);
        view.chosen.select(Some(2));
        view.press(KeyCode::Char('k'));
        assert_eq!(view.signal, None, "the host is not killed");
    }

    #[test]
    fn a_signal_is_for_the_context_that_was_asked_about() {
        let mut view = view();
        view.press(KeyCode::Char('k'));
        assert!(view.said.contains("context 7"), "{}", view.said);
        view.lines.retain(|line| line.usage.xid != 7);
        view.sort_lines(Some(7));
        assert_eq!(view.chosen_xid(), Some(8), "that one has gone");
        assert_eq!(view.signal.map(|q| q.xid), Some(7));
    }

    #[test]
    fn figures_are_drawn() {
        let mut view = view();
        let mut terminal = Terminal::new(TestBackend::new(140, 6)).unwrap();
        terminal.draw(|frame| view.draw(frame)).unwrap();
        let cells = terminal.backend().buffer().content();
        let text: String = cells.iter().map(|c| c.symbol()).collect();
        for word in [
            "TOKENS",
            "web",
            "20.0",
            "25.0",
            "42",
            "10.0 MiB",
            "30.0 MiB",
            "64.0 MiB",
            "3.0 GiB (2m)",
            "q quit",
        ] {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
}
