//! The fleet on a terminal of any size. Pure: what is seen and where one looks make what is drawn.

use fleet_coordinator::health::Health;
use fleet_coordinator::model::Session;
use fleet_worker_sdk::{Execution, ExecutionState};
use jiff::Timestamp;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table};

use super::lines::clock;
use super::seen::{Seen, Sight};
use crate::look::{Tone, ago, cut, line, score, width};
use crate::output::plain;
use crate::sessions::findings;
use crate::workers::{liveness, tone};

/// From this width on, health stands beside the sessions instead of above them.
const WIDE: u16 = 110;
/// Cells of the health pane beside others.
const ASIDE: u16 = 46;
/// Rows of the workers' pane, borders included: what leaves room for the rest on 24 rows.
const WORKERS: u16 = 8;
/// Rows of the health pane above others, borders included.
const HEALTH: u16 = 7;

/// A pane that can be scrolled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pane {
    #[default]
    Sessions,
    Health,
    Workers,
}

impl Pane {
    pub(super) fn next(self) -> Self {
        match self {
            Self::Sessions => Self::Health,
            Self::Health => Self::Workers,
            Self::Workers => Self::Sessions,
        }
    }

    pub(super) fn previous(self) -> Self {
        self.next().next()
    }
}

/// Where one looks: the pane in focus, and the first row shown of each.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct View {
    focus: Pane,
    sessions: usize,
    health: usize,
    workers: usize,
}

impl View {
    /// Goes to another pane.
    pub(super) fn focus(&mut self, step: impl FnOnce(Pane) -> Pane) {
        self.focus = step(self.focus);
    }

    /// Scrolls the pane in focus; how far it can is known when it is drawn.
    pub(super) fn scroll(&mut self, step: impl FnOnce(usize) -> usize) {
        let at = self.at(self.focus);
        *at = step(*at);
    }

    fn at(&mut self, pane: Pane) -> &mut usize {
        match pane {
            Pane::Sessions => &mut self.sessions,
            Pane::Health => &mut self.health,
            Pane::Workers => &mut self.workers,
        }
    }

    #[cfg(test)]
    pub(super) fn offsets(&self) -> [usize; 3] {
        [self.sessions, self.health, self.workers]
    }
}

/// All that one picture is made of.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) address: &'a str,
    pub(super) sight: Option<&'a Sight>,
    pub(super) now: Timestamp,
    pub(super) colour: bool,
}

impl Frame<'_> {
    pub(super) fn draw(&self, to: &mut ratatui::Frame<'_>, view: &mut View) {
        if to.area().is_empty() {
            return;
        }
        let away = self.sight.and_then(|sight| sight.away.as_ref());
        let rows = [
            Constraint::Length(2),
            Constraint::Length(u16::from(away.is_some())),
            Constraint::Min(0),
            Constraint::Length(1),
        ];
        let [head, banner, body, foot] = Layout::vertical(rows).areas(to.area());
        to.render_widget(self.head(), head);
        if let Some((since, why)) = away {
            to.render_widget(self.banner(*since, why), banner);
        }
        match self
            .sight
            .and_then(|sight| Some((sight, sight.seen.as_ref()?)))
        {
            Some((sight, seen)) => self.body(to, body, view, sight, seen),
            None if away.is_none() => to.render_widget("looking ...", body),
            None => {}
        }
        let address = plain(self.address);
        let keys =
            format!("{address}   q ends   tab goes to the next pane   arrows and page keys scroll");
        to.render_widget(Paragraph::new(keys).style(self.style(Tone::Faint)), foot);
    }

    fn head(&self) -> Paragraph<'_> {
        let mut first = vec![Span::styled("fleet ", self.style(Tone::Strong))];
        let mut second = Line::default();
        if let Some(seen) = self.sight.and_then(|sight| sight.seen.as_ref()) {
            let fleet = &seen.fleet;
            let health = &fleet.health;
            let status = format!("{} {}", score(health), health.status);
            first.push(Span::styled(
                status,
                self.style(Tone::of_status(health.status)),
            ));
            first.push(Span::raw(format!(
                "  {:.0} % known  {} sessions  {} repositories  {} findings",
                health.coverage * 100.0,
                fleet.rollup.sessions,
                fleet.rollup.repositories,
                fleet.rollup.findings
            )));
            second = Line::raw(line(&health.reason));
        }
        Paragraph::new(vec![Line::from(first), second])
    }

    fn banner(&self, since: Timestamp, why: &str) -> Paragraph<'_> {
        let text = format!(
            " AWAY since {} ({}): {why} ",
            clock(since),
            ago(since, self.now)
        );
        let style = self.style(Tone::Worst).add_modifier(Modifier::REVERSED);
        Paragraph::new(text).style(style)
    }

    fn body(
        &self,
        to: &mut ratatui::Frame<'_>,
        area: Rect,
        view: &mut View,
        sight: &Sight,
        seen: &Seen,
    ) {
        let rows = |count: usize| u16::try_from(count + 2).unwrap_or(u16::MAX);
        let workers = rows(seen.workers.len()).min(WORKERS);
        let health = rows(seen.fleet.tiers.len() + seen.fleet.bots.len()).min(HEALTH);
        let split = [Constraint::Min(5), Constraint::Length(workers)];
        let [upper, lower] = Layout::vertical(split).areas(area);
        let [health, sessions] = if area.width >= WIDE {
            Layout::horizontal([Constraint::Length(ASIDE), Constraint::Min(0)]).areas(upper)
        } else {
            Layout::vertical([Constraint::Length(health), Constraint::Min(3)]).areas(upper)
        };
        self.health(to, health, view, seen);
        self.sessions(to, sessions, view, sight, seen);
        self.workers(to, lower, view, seen);
    }

    fn health(&self, to: &mut ratatui::Frame<'_>, area: Rect, view: &mut View, seen: &Seen) {
        let row = |name: String, health: &Health| {
            let style = self.style(Tone::of_status(health.status));
            Row::new(vec![
                Cell::from(name),
                Cell::from(Line::from(score(health)).alignment(Alignment::Right)).style(style),
                Cell::from(health.status.as_str()).style(style),
            ])
        };
        let tiers = seen.fleet.tiers.iter();
        let tiers = tiers.map(|(tier, health)| row(format!("tier {tier}"), health));
        let bots = seen.fleet.bots.iter();
        let bots = bots.map(|(bot, health)| row(format!("  {bot}"), health));
        let widths = [
            Constraint::Min(12),
            Constraint::Length(5),
            Constraint::Length(9),
        ];
        let rows: Vec<_> = tiers.chain(bots).collect();
        let list = List {
            pane: Pane::Health,
            title: "Tiers and bots",
            rows,
            widths: &widths,
        };
        self.pane(to, area, view, list);
    }

    fn sessions(
        &self,
        to: &mut ratatui::Frame<'_>,
        area: Rect,
        view: &mut View,
        sight: &Sight,
        seen: &Seen,
    ) {
        let (name, count) = if area.width >= WIDE - ASIDE + 20 {
            (32, 22)
        } else {
            (20, 12)
        };
        let texts = seen.sessions.iter().map(|session| {
            let new = sight.new_findings(session);
            [
                cut(session.repository.as_str(), name),
                cut(&findings(session.total, &session.tally), count),
                if new > 0 {
                    format!("+{new}")
                } else {
                    String::new()
                },
            ]
        });
        let texts: Vec<[String; 3]> = texts.collect();
        let [name, count, new] = texts.iter().fold([8, 4, 0], |[a, b, c], texts| {
            let [name, count, new] = texts.each_ref().map(|text| width(text) as u16);
            [a.max(name), b.max(count), c.max(new)]
        });
        let widths = [name, 5, count, new].map(Constraint::Length).into_iter();
        let widths = widths.chain([Constraint::Fill(1), Constraint::Length(10)]);
        let widths: Vec<_> = widths.collect();
        let rows = seen.sessions.iter().zip(texts);
        let list = List {
            pane: Pane::Sessions,
            title: "Sessions",
            rows: rows
                .map(|(session, texts)| self.session(session, texts))
                .collect(),
            widths: &widths,
        };
        self.pane(to, area, view, list);
    }

    fn session(&self, session: &Session, [name, count, new]: [String; 3]) -> Row<'static> {
        let health = session.derived.as_ref().map(|derived| &derived.health);
        let health = match health {
            Some(health) => Cell::from(Line::from(score(health)).alignment(Alignment::Right))
                .style(self.style(Tone::of_status(health.status))),
            None => Cell::from(Line::from("-").alignment(Alignment::Right)),
        };
        let mut bots = Vec::new();
        for execution in &session.executions {
            let (sign, tone) = sign(execution);
            bots.push(Span::styled(sign, self.style(tone)));
            bots.push(Span::raw(format!("{} ", execution.bot)));
        }
        Row::new(vec![
            Cell::from(name),
            health,
            Cell::from(count),
            Cell::from(new).style(self.style(Tone::Note)),
            Cell::from(Line::from(bots)),
            Cell::from(ago(session.changed, self.now)),
        ])
    }

    fn workers(&self, to: &mut ratatui::Frame<'_>, area: Rect, view: &mut View, seen: &Seen) {
        let rows: Vec<_> = seen
            .workers
            .iter()
            .map(|worker| {
                let told = worker
                    .worker
                    .command
                    .map(|command| format!(", told to {command}"));
                Row::new(vec![
                    Cell::from(worker.worker.id.to_string()),
                    Cell::from(liveness(worker)).style(self.style(tone(worker))),
                    Cell::from(format!(
                        "{}{}",
                        worker.worker.state,
                        told.unwrap_or_default()
                    )),
                    Cell::from(format!("{} sessions", worker.worker.sessions.len())),
                ])
            })
            .collect();
        let widths = [
            Constraint::Fill(1),
            Constraint::Length(7),
            Constraint::Length(26),
            Constraint::Length(12),
        ];
        let tally = &seen.fleet.workers;
        let title = format!(
            "Workers: {} alive, {} stale, {} dead, {} stuck",
            tally.alive, tally.stale, tally.dead, tally.stuck
        );
        let list = List {
            pane: Pane::Workers,
            title: &title,
            rows,
            widths: &widths,
        };
        self.pane(to, area, view, list);
    }

    fn pane(&self, to: &mut ratatui::Frame<'_>, area: Rect, view: &mut View, list: List<'_>) {
        let List {
            pane,
            title,
            rows,
            widths,
        } = list;
        let room = usize::from(area.height.saturating_sub(2));
        let total = rows.len();
        let focused = view.focus == pane;
        let at = view.at(pane);
        *at = (*at).min(total.saturating_sub(room));
        let title = if total > room {
            let last = (*at + room).min(total);
            format!(" {title} ({}-{last} of {total}) ", *at + 1)
        } else {
            format!(" {title} ")
        };
        let border = self.style(if focused { Tone::Strong } else { Tone::Faint });
        let block = Block::new()
            .borders(Borders::ALL)
            .border_style(border)
            .title(title);
        let shown = rows.into_iter().skip(*at).take(room);
        let table = Table::new(shown, widths.iter().copied());
        to.render_widget(table.column_spacing(2).block(block), area);
    }

    fn style(&self, tone: Tone) -> Style {
        let style = Style::new();
        match tone {
            Tone::Plain => style,
            Tone::Strong => style.add_modifier(Modifier::BOLD),
            Tone::Faint => style.add_modifier(Modifier::DIM),
            _ if !self.colour => style,
            Tone::Good => style.fg(Color::Green),
            Tone::Fair => style.fg(Color::Yellow),
            Tone::Bad => style.fg(Color::Red),
            Tone::Worst => style.fg(Color::Red).add_modifier(Modifier::BOLD),
            Tone::Note => style.fg(Color::Cyan),
        }
    }
}

/// What a pane lists.
struct List<'a> {
    pane: Pane,
    title: &'a str,
    rows: Vec<Row<'a>>,
    widths: &'a [Constraint],
}

/// How far an execution is, as one sign before its bot's name.
fn sign(execution: &Execution) -> (&'static str, Tone) {
    match execution.state {
        ExecutionState::Pending => ("·", Tone::Faint),
        ExecutionState::Running => ("▸", Tone::Note),
        ExecutionState::Completed if execution.partial => ("◐", Tone::Fair),
        ExecutionState::Completed => ("✓", Tone::Good),
        ExecutionState::Failed => ("✗", Tone::Bad),
        ExecutionState::Skipped => ("–", Tone::Faint),
    }
}

#[cfg(test)]
mod tests;
