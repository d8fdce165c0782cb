// SPDX-License-Identifier: GPL-2.0
//! What `vserver top` shows, and what its keys do.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::time::Instant;

use ratatui::Frame;
use ratatui::crossterm::event::KeyCode;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Modifier, Style};
use ratatui::widgets::{Paragraph, Row, Table, TableState};
use vserver::disk::Disk;
use vserver::signal;
use vserver::usage::Usage;

use super::Contexts;
use crate::args::Column;
use crate::cmd::state::taken;
use crate::output::{bytes, time};

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

pub(super) struct View {
    contexts: Box<dyn Contexts>,
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

/// The columns, and how wide each is at most.
const COLUMNS: [(&str, u16); 13] = [
    ("XID", 5),
    (NAME, 20),
    ("STATE", 8),
    ("CPU%", 6),
    ("LIMIT%", 7),
    ("TOKENS", 7),
    ("HELD%", 6),
    ("RSS", 10),
    ("MEMORY", 10),
    ("LIMIT", 10),
    ("DISK", 16),
    ("PROC", 5),
    ("CPU TIME", 10),
];
/// The one that may be narrower.
const NAME: &str = "NAME";
const LEAST_NAME: u16 = 8;
/// What is left out, in this order, where there is no room for all: before names are cut short,
const SPARE: [&str; 4] = ["CPU TIME", "RSS", "LIMIT", "LIMIT%"];
/// and after that.
const LAST: [&str; 6] = ["STATE", "DISK", "HELD%", "TOKENS", "PROC", "MEMORY"];

const HELP: &str = "c m d p h t n x sort  r reverse  \u{2191}\u{2193} choose  k kill  q quit";

impl View {
    pub(super) fn new(sort: Column, contexts: Box<dyn Contexts>) -> Self {
        Self {
            contexts,
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
    pub(super) fn look(&mut self) -> anyhow::Result<()> {
        let passed = self.looked.elapsed().as_secs_f64() * 1000.0;
        self.looked = Instant::now();
        let chosen = self.chosen_xid();
        let all = self.contexts.usage()?;
        let now = all.iter().map(|(u, _)| (u.xid, (u.cpu_msec, u.hold_msec)));
        let now: HashMap<_, _> = now.collect();
        self.lines = all
            .into_iter()
            .map(|(usage, disk)| {
                let last = self.last.get(&usage.xid);
                let (cpu, held) = last.copied().unwrap_or((usage.cpu_msec, usage.hold_msec));
                let percent =
                    |now: u64, then: u64| 100.0 * now.saturating_sub(then) as f64 / passed;
                Line {
                    cpu: percent(usage.cpu_msec, cpu),
                    held: percent(usage.hold_msec, held),
                    disk,
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
    pub(super) fn press(&mut self, key: KeyCode) -> bool {
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
                let sent = signal::parse(typed).and_then(|number| self.contexts.kill(*xid, number));
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

    pub(super) fn draw(&mut self, frame: &mut Frame<'_>) {
        let areas = Layout::vertical([Constraint::Min(1), Constraint::Length(1)]);
        let [body, foot] = areas.areas(frame.area());
        let shown = columns(body.width);
        let heads = shown.iter().map(|&(column, _)| COLUMNS[column].0);
        let widths = shown.iter().map(|&(_, width)| Constraint::Length(width));
        let rows = self.lines.iter().map(|line| {
            let cells = cells(line);
            Row::new(shown.iter().map(|&(column, _)| cells[column].clone()))
        });
        let table = Table::new(rows, widths)
            .header(Row::new(heads).style(Modifier::BOLD))
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

/// Which columns there is room for, by number, and how wide they are.
fn columns(room: u16) -> Vec<(usize, u16)> {
    let mut shown: Vec<usize> = (0..COLUMNS.len()).collect();
    let most = |column: usize| COLUMNS[column].1;
    let is_name = |column: usize| COLUMNS[column].0 == NAME;
    // With what is between them.
    let needed = |shown: &[usize], name: u16| -> u16 {
        let widths = shown
            .iter()
            .map(|&c| if is_name(c) { name } else { most(c) } + 1);
        widths.sum::<u16>().saturating_sub(1)
    };
    let full = shown.iter().copied().find(|&c| is_name(c)).map_or(0, most);
    let spare = SPARE.iter().map(|head| (head, full));
    for (head, name) in spare.chain(LAST.iter().map(|head| (head, LEAST_NAME))) {
        if needed(&shown, name) <= room {
            break;
        }
        shown.retain(|&column| COLUMNS[column].0 != *head);
    }
    let left = room.saturating_sub(needed(&shown, 0));
    let width = |column: usize| match is_name(column) {
        true => left.clamp(LEAST_NAME, full),
        false => most(column),
    };
    shown.into_iter().map(|c| (c, width(c))).collect()
}

/// What is in each of [`COLUMNS`].
fn cells(line: &Line) -> [String; COLUMNS.len()] {
    let u = &line.usage;
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
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
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::top::fixture::{Fixture, contexts};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn view() -> View {
        let mut view = View::new(Column::Cpu, Box::new(Fixture("/nonexistent".into())));
        for ((usage, disk), cpu) in contexts().into_iter().zip([1.0, 20.0, 5.0]) {
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

    /// What is drawn at this width, line by line.
    fn drawn(width: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, 24)).unwrap();
        terminal.draw(|frame| view().draw(frame)).unwrap();
        let cells = terminal.backend().buffer().content();
        let lines = cells.chunks(width.into());
        lines
            .map(|l| l.iter().map(|c| c.symbol()).collect())
            .collect()
    }

    #[test]
    fn what_matters_is_there_where_it_is_narrow() {
        assert_eq!(columns(132).len(), COLUMNS.len());
        assert_eq!(columns(131).len(), COLUMNS.len() - 1);
        let lines = drawn(80);
        assert_eq!(
            lines[0].split_whitespace().collect::<Vec<_>>(),
            [
                "XID", "NAME", "STATE", "CPU%", "TOKENS", "HELD%", "MEMORY", "DISK", "PROC"
            ]
        );
        for words in [
            "web running 20.0 42 0.0 30.0 MiB - 1",
            "db running 5.0 - 0.0 - 3.0 GiB (2m) 1",
        ] {
            let words = words.split_whitespace().collect::<Vec<_>>();
            let told = |line: &String| line.split_whitespace().skip(1).eq(words.iter().copied());
            assert!(lines.iter().any(told), "{words:?}: {lines:#?}");
        }
        assert!(lines[23].contains("q quit"), "{lines:#?}");
        assert_eq!(
            drawn(30)[0].split_whitespace().collect::<Vec<_>>(),
            ["XID", "NAME", "CPU%"]
        );
        drawn(1);
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
