//! The monitor on the screen.

use jiff::Timestamp;
use podium_protocol::Alive;
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Clear, Paragraph, Row as TableRow, Table, TableState, Wrap};

use super::model::{Holder, Mode, Model, Row};
use crate::style::{count, printable};
use crate::time::ago;

const HELP: &[(&str, &str)] = &[
    ("↑ ↓  j k", "select a worktree"),
    ("PgUp PgDn g G", "further"),
    ("Enter", "its folder and who holds it"),
    ("c  l", "claim it; let it go"),
    ("o", "open it in $VISUAL or $EDITOR, else a shell"),
    ("d", "its work against trunk"),
    ("s  x", "resume the session that was cut off there; cancel the running one"),
    ("/", "filter by name, branch or owner; Esc clears it"),
    ("r", "read everything anew"),
    ("q  Esc  Ctrl-C", "quit"),
];

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, now: Timestamp) {
    let feed = (frame.area().height / 3).clamp(3, 12);
    let parts = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(feed),
        Constraint::Length(1),
    ]);
    let [head, table, events, foot] = parts.areas(frame.area());
    frame.render_widget(header(model), head);
    worktrees(frame, model, now, table);
    feed_lines(frame, model, now, events);
    frame.render_widget(footer(model), foot);
    match model.mode {
        Mode::Help => popup(frame, "Keys", help()),
        Mode::Details => popup(frame, "Worktree", details(model, now)),
        Mode::Diff => diff(frame, model),
        Mode::Browsing | Mode::Filtering | Mode::Killing => {}
    }
}

fn diff(frame: &mut Frame<'_>, model: &Model) {
    let area = frame.area();
    let room = usize::from(area.height.saturating_sub(2));
    let lines = model.diff.lines.iter().skip(model.diff.top).take(room).map(|line| {
        let style = match line.chars().next() {
            Some('+') => Style::new().fg(Color::Green),
            Some('-') => Style::new().fg(Color::Red),
            Some('@') => Style::new().fg(Color::Cyan),
            Some('d' | '?') => bold(),
            _ => Style::new(),
        };
        Line::styled(line.clone(), style)
    });
    let place = format!("{}/{}  q closes", model.diff.top + 1, model.diff.lines.len());
    let block = Block::bordered().title(printable(&model.diff.title)).title_bottom(place);
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()).block(block), area);
}

fn header(model: &Model) -> Paragraph<'static> {
    let claimed = model.worktrees.iter().filter(|worktree| worktree.claim.is_some()).count();
    let place = match model.worktrees.first() {
        Some(worktree) if !model.all => printable(&worktree.repo.root),
        _ => "all repositories".to_owned(),
    };
    let counts = format!(
        "  {}, {claimed} claimed, {} running",
        count(model.worktrees.len() as u64, "worktree"),
        count(model.sessions.len() as u64, "session")
    );
    let mut spans = vec![Span::styled("imi ", bold()), Span::raw(place), Span::styled(counts, dim())];
    if let Some(trouble) = &model.trouble {
        spans.push(Span::styled(format!("  {}", printable(trouble)), Style::new().fg(Color::Red)));
    }
    Paragraph::new(Line::from(spans))
}

fn worktrees(frame: &mut Frame<'_>, model: &Model, now: Timestamp, area: Rect) {
    let rows = model.rows(now);
    if rows.is_empty() {
        let text = match model.filter.is_empty() {
            true => "no worktrees yet: imi feat NAME makes one",
            false => "nothing passes the filter",
        };
        frame.render_widget(Paragraph::new(text).alignment(Alignment::Center), area);
        return;
    }
    let width = |of: fn(&Row) -> &str, least: usize, most: usize| {
        let widest = rows.iter().map(|row| of(row).chars().count()).max().unwrap_or_default();
        Constraint::Length(u16::try_from(widest.clamp(least, most)).unwrap_or(u16::MAX))
    };
    let widths = [
        width(|row| &row.name, 4, 32),
        width(|row| &row.owner, 5, 20),
        width(|row| row.holder.word(), 0, 12),
        width(|row| &row.changes, 7, 18),
        width(|row| &row.trunk, 5, 10),
        width(|row| &row.activity, 6, 8),
        Constraint::Fill(2),
        width(|row| &row.note, 0, 40),
    ];
    let titles = ["NAME", "OWNER", "", "CHANGES", "TRUNK", "ACTIVE", "LAST COMMIT", "NOTE"];
    let table = Table::new(rows.iter().map(line), widths)
        .header(TableRow::new(titles).style(dim()))
        .column_spacing(2)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::new().with_selected(model.position());
    frame.render_stateful_widget(table, area, &mut state);
}

fn line(row: &Row) -> TableRow<'static> {
    let holder = Style::new().fg(match row.holder.alive() {
        Some(Alive::Yes) => Color::Green,
        Some(Alive::No) => Color::Red,
        Some(Alive::Unknown) => Color::Yellow,
        None => Color::Reset,
    });
    let owner = match row.holder {
        Holder::Agent(_) => Style::new().fg(Color::Magenta),
        Holder::Person(_) => Style::new().fg(Color::Cyan),
        Holder::Nobody => Style::new(),
    };
    let note = if row.conflicts { Style::new().fg(Color::Red) } else { dim() };
    TableRow::new([
        Cell::new(row.name.clone()).style(bold()),
        Cell::new(row.owner.clone()).style(owner),
        Cell::new(row.holder.word()).style(holder),
        Cell::new(row.changes.clone()).style(Style::new().fg(Color::Yellow)),
        Cell::new(row.trunk.clone()),
        Cell::new(row.activity.clone()),
        Cell::new(row.commit.clone()),
        Cell::new(row.note.clone()).style(note),
    ])
}

fn feed_lines(frame: &mut Frame<'_>, model: &Model, now: Timestamp, area: Rect) {
    let block = Block::new().borders(ratatui::widgets::Borders::TOP).border_style(dim()).title("Events");
    let room = usize::from(area.height.saturating_sub(1));
    let lines = model.feed.iter().rev().take(room).map(|event| {
        let (kind, what) = model.told(event);
        Line::from(vec![
            Span::styled(format!("{:>5}  ", ago(&event.time, now)), dim()),
            Span::styled(format!("{kind:<20} "), Style::new().fg(Color::Cyan)),
            Span::raw(what),
        ])
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()).block(block), area);
}

fn footer(model: &Model) -> Paragraph<'static> {
    match model.mode {
        Mode::Killing => {
            let title = model.running().map(|session| printable(&session.title)).unwrap_or_default();
            let text = format!("cancel the session \u{201c}{title}\u{201d}? y/n");
            Paragraph::new(text).style(Style::new().fg(Color::Red))
        }
        Mode::Filtering => Paragraph::new(format!("/{}_", printable(&model.filter))),
        _ if model.notice.is_some() => {
            let notice = model.notice.as_deref().map(printable).unwrap_or_default();
            Paragraph::new(notice).style(Style::new().fg(Color::Yellow))
        }
        _ if !model.filter.is_empty() => {
            Paragraph::new(format!("/{}   Esc clears the filter", printable(&model.filter))).style(dim())
        }
        _ => Paragraph::new(
            "q quit  ↑↓ select  Enter folder  c claim  l let go  o open  d diff  / filter  ? help",
        )
        .style(dim()),
    }
}

fn help() -> Vec<Line<'static>> {
    let line = |(keys, what): &(&'static str, &'static str)| {
        Line::from(vec![Span::styled(format!("{keys:<15}"), bold()), Span::raw(*what)])
    };
    HELP.iter().map(line).collect()
}

fn details(model: &Model, now: Timestamp) -> Vec<Line<'static>> {
    let Some(worktree) = model.selected() else { return vec![Line::from("it is gone")] };
    let mut lines = vec![
        Line::styled(printable(&worktree.name), bold()),
        Line::from(printable(&worktree.path)),
        Line::from(format!("branch  {}", printable(worktree.branch.as_deref().unwrap_or("(detached)")))),
    ];
    lines.push(Line::from(match &worktree.claim {
        None => "free".to_owned(),
        Some(claim) => format!(
            "held by {} on {} since {} ago, token {}",
            printable(&claim.agent_id),
            printable(&claim.host),
            ago(&claim.since, now),
            claim.token
        ),
    }));
    if let Some(commit) = &worktree.last_commit {
        let id: String = commit.id.chars().take(8).collect();
        lines.push(Line::from(format!(
            "commit  {id} {} ({})",
            printable(&commit.summary),
            ago(&commit.time, now)
        )));
    }
    for session in
        model.sessions.iter().filter(|session| session.worktree_path.as_deref() == Some(&worktree.path))
    {
        lines.push(Line::from(format!("session {} {}", session.provider, printable(&session.title))));
    }
    if !worktree.conflicts_with.is_empty() {
        let with = printable(&worktree.conflicts_with.join(", "));
        lines.push(Line::styled(format!("conflicts with {with}"), Style::new().fg(Color::Red)));
    }
    lines
}

fn popup(frame: &mut Frame<'_>, title: &'static str, lines: Vec<Line<'static>>) {
    let area = frame.area();
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).saturating_add(1).min(area.height);
    let width = area.width.saturating_sub(4).min(100);
    let [area] =
        Layout::vertical([Constraint::Length(height)]).flex(ratatui::layout::Flex::Center).areas(area);
    let [area] =
        Layout::horizontal([Constraint::Length(width)]).flex(ratatui::layout::Flex::Center).areas(area);
    frame.render_widget(Clear, area);
    let text = Paragraph::new(lines).wrap(Wrap { trim: false }).block(Block::bordered().title(title));
    frame.render_widget(text, area);
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::model::tests::{model, now};
    use super::*;

    fn drawn(model: &Model, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, model, now())).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let lines = buffer.content().chunks(usize::from(width));
        let line = |cells: &[ratatui::buffer::Cell]| {
            cells.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned()
        };
        lines.map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_screen_has_worktrees_events_and_keys() {
        insta::assert_snapshot!(drawn(&model(), 110, 14));
    }

    #[test]
    fn details_show_the_folder() {
        let mut model = model();
        model.mode = Mode::Details;
        insta::assert_snapshot!(drawn(&model, 80, 16));
    }

    #[test]
    fn no_size_is_too_small() {
        for (width, height) in [(1, 1), (5, 2), (20, 3), (200, 1)] {
            let mut model = model();
            for mode in
                [Mode::Browsing, Mode::Filtering, Mode::Help, Mode::Details, Mode::Diff, Mode::Killing]
            {
                model.mode = mode;
                drawn(&model, width, height);
            }
        }
    }
}
