//! `jelmore inbox` on a terminal: open questions as they come, answered by keys.

use std::io;
use std::time::Duration;

use jiff::Timestamp;
use podium_client::Client;
use podium_protocol::{
    InboxAnswer, InboxAnswerParams, InboxDecision, InboxItem, InboxListMethod, InboxListParams, InboxScope,
    WireError,
};
use ratatui::Frame;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, List, ListItem, ListState, Paragraph, Wrap};
use tokio::time::{MissedTickBehavior, interval};

use crate::output::{Ending, Failure};
use crate::screen::{Screen, give_back_on_panic, keys};
use crate::style::{one_line, printable};
use crate::time::ago;

/// Moves the ages on.
const CLOCK: Duration = Duration::from_secs(1);
const KEYS: &str =
    "a allow   s allow for the session   p allow for the project   d deny   ↑↓ choose   q leave";

/// What is shown.
#[derive(Default)]
struct Model {
    open: Vec<InboxItem>,
    selected: usize,
    notice: Option<String>,
}

/// What a key leads to.
#[derive(Debug, PartialEq, Eq)]
enum After {
    Draw,
    Quit,
    Answer { id: String, decision: InboxDecision, scope: InboxScope },
}

pub(super) async fn run(client: &Client) -> Ending {
    give_back_on_panic();
    let failed = |error: io::Error| Failure::from(WireError::internal(format!("the terminal: {error}")));
    // Subscribed before the list is read, so that nothing falls between the two.
    let mut events = client.subscribe(None, vec!["inbox.*".to_owned()]).await?;
    let mut model = Model::default();
    model.show(list(client).await?);
    let (mut keys, _reader) = keys();
    let mut clock = interval(CLOCK);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut screen = Screen::take().map_err(failed)?;
    loop {
        screen.0.draw(|frame| draw(frame, &model, Timestamp::now())).map_err(failed)?;
        tokio::select! {
            event = events.next() => match event {
                Some(_) => model.show(list(client).await?),
                None => return Err(WireError::unavailable("the daemon went away").into()),
            },
            key = keys.recv() => match key {
                Some(Event::Key(key)) => match model.key(key) {
                    After::Quit => return Ok(0),
                    After::Draw => {}
                    After::Answer { id, decision, scope } => {
                        let params = InboxAnswerParams { id, decision, scope: Some(scope) };
                        // Somebody else may have been faster.
                        let answered = client.call::<InboxAnswer>(params).await;
                        model.notice = answered.err().map(|error| error.message);
                        model.show(list(client).await?);
                    }
                },
                Some(_) => {}
                None => return Ok(0),
            },
            _ = clock.tick() => {}
        }
    }
}

async fn list(client: &Client) -> Result<Vec<InboxItem>, WireError> {
    Ok(client.call::<InboxListMethod>(InboxListParams { all: false }).await?.items)
}

impl Model {
    /// The question that is chosen stays so, wherever it is now.
    fn show(&mut self, open: Vec<InboxItem>) {
        let chosen = self.chosen().map(|item| item.id.clone());
        let again = open.iter().position(|item| Some(&item.id) == chosen.as_ref());
        self.selected = again.unwrap_or(self.selected).min(open.len().saturating_sub(1));
        self.open = open;
    }

    fn chosen(&self) -> Option<&InboxItem> {
        self.open.get(self.selected)
    }

    fn key(&mut self, key: KeyEvent) -> After {
        if key.kind == KeyEventKind::Release {
            return After::Draw;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) && matches!(key.code, KeyCode::Char('c' | 'd')) {
            return After::Quit;
        }
        self.notice = None;
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return After::Quit,
            KeyCode::Up | KeyCode::Char('k') => self.selected = self.selected.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => {
                self.selected = (self.selected + 1).min(self.open.len().saturating_sub(1));
            }
            KeyCode::Char('a') => return self.answer(InboxDecision::Allow, InboxScope::Once),
            KeyCode::Char('s') => return self.answer(InboxDecision::Allow, InboxScope::Session),
            KeyCode::Char('p') => return self.answer(InboxDecision::Allow, InboxScope::Project),
            KeyCode::Char('d') => return self.answer(InboxDecision::Deny, InboxScope::Once),
            _ => {}
        }
        After::Draw
    }

    fn answer(&mut self, decision: InboxDecision, scope: InboxScope) -> After {
        let Some(item) = self.chosen() else { return After::Draw };
        if scope != InboxScope::Once && !item.options.contains(&scope) {
            self.notice = Some(format!("this question has no answer for the {}", scope.as_str()));
            return After::Draw;
        }
        After::Answer { id: item.id.clone(), decision, scope }
    }
}

fn draw(frame: &mut Frame<'_>, model: &Model, now: Timestamp) {
    let rows = u16::try_from(model.open.len()).unwrap_or(u16::MAX).clamp(1, 10) + 1;
    let [list, detail, foot] =
        Layout::vertical([Constraint::Length(rows), Constraint::Min(0), Constraint::Length(1)])
            .areas(frame.area());
    let title = match model.open.len() {
        0 => "no open questions".to_owned(),
        1 => "1 open question".to_owned(),
        count => format!("{count} open questions"),
    };
    let item = |item: &InboxItem| {
        let (agent, question) = (one_line(&item.agent_id), one_line(&item.question));
        ListItem::new(format!("{:>8}  {agent}  {question}", ago(&item.asked_at, now)))
    };
    let questions = List::new(model.open.iter().map(item))
        .block(Block::new().title(title))
        .highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = ListState::default().with_selected(model.chosen().map(|_| model.selected));
    frame.render_stateful_widget(questions, list, &mut state);
    let text = model.chosen().and_then(|item| item.detail.as_deref()).unwrap_or_default();
    let lines: Vec<Line<'_>> = text.lines().map(|line| Line::raw(printable(line))).collect();
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), detail);
    let foot_text = model.notice.as_deref().unwrap_or(KEYS);
    frame.render_widget(
        Paragraph::new(one_line(foot_text)).style(Style::new().add_modifier(Modifier::DIM)),
        foot,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(id: &str, options: &[InboxScope]) -> InboxItem {
        InboxItem {
            id: id.into(),
            agent_id: "claude-1".into(),
            question: format!("May I {id}?"),
            options: options.to_vec(),
            ..InboxItem::default()
        }
    }

    fn press(model: &mut Model, key: char) -> After {
        model.key(KeyEvent::from(KeyCode::Char(key)))
    }

    #[test]
    fn keys_answer_the_question_that_is_chosen() {
        let mut model = Model::default();
        assert_eq!(press(&mut model, 'a'), After::Draw, "there is nothing to answer");
        model.show(vec![question("one", &[]), question("two", &[InboxScope::Once, InboxScope::Session])]);
        press(&mut model, 'j');
        let allow = |scope| After::Answer { id: "two".into(), decision: InboxDecision::Allow, scope };
        assert_eq!(press(&mut model, 's'), allow(InboxScope::Session));
        assert_eq!(press(&mut model, 'p'), After::Draw, "no answer for the project");
        assert!(model.notice.is_some());
        // One that comes above leaves the choice where it is.
        model.show(vec![question("zero", &[]), question("one", &[]), question("two", &[])]);
        assert_eq!(press(&mut model, 'a'), allow(InboxScope::Once));
        model.show(vec![question("zero", &[])]);
        let deny =
            After::Answer { id: "zero".into(), decision: InboxDecision::Deny, scope: InboxScope::Once };
        assert_eq!(press(&mut model, 'd'), deny);
        assert_eq!(press(&mut model, 'q'), After::Quit);
    }
}
