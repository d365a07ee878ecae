//! What the keys do.

use std::path::PathBuf;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::action::{Action, Place};
use super::model::{Mode, Model};

/// Rows of one page.
const PAGE: isize = 10;

/// What follows from a key beyond the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum After {
    Draw,
    Refresh,
    Quit,
    /// Asked of the daemon, beside the screen.
    Do(Action),
    /// A program in this folder, in place of the screen.
    Open(PathBuf),
}

pub(super) fn key(model: &mut Model, key: KeyEvent) -> After {
    if key.kind == KeyEventKind::Release {
        return After::Draw;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) && matches!(key.code, KeyCode::Char('c' | 'd')) {
        return After::Quit;
    }
    model.notice = None;
    match model.mode {
        Mode::Filtering => filtering(model, key.code),
        Mode::Diff => reading(model, key.code),
        Mode::Killing => killing(model, key.code),
        Mode::Help | Mode::Details => {
            match key.code {
                KeyCode::Char('q') if model.mode == Mode::Help => model.mode = Mode::Browsing,
                KeyCode::Up | KeyCode::Char('k') => model.select(-1),
                KeyCode::Down | KeyCode::Char('j') => model.select(1),
                _ => model.mode = Mode::Browsing,
            }
            After::Draw
        }
        Mode::Browsing => browsing(model, key.code),
    }
}

fn browsing(model: &mut Model, code: KeyCode) -> After {
    match code {
        KeyCode::Char('q') => return After::Quit,
        KeyCode::Esc if model.filter.is_empty() => return After::Quit,
        KeyCode::Esc => model.filter.clear(),
        KeyCode::Up | KeyCode::Char('k') => model.select(-1),
        KeyCode::Down | KeyCode::Char('j') => model.select(1),
        KeyCode::PageUp => model.select(-PAGE),
        KeyCode::PageDown => model.select(PAGE),
        KeyCode::Home | KeyCode::Char('g') => model.select(isize::MIN),
        KeyCode::End | KeyCode::Char('G') => model.select(isize::MAX),
        KeyCode::Enter => model.mode = Mode::Details,
        KeyCode::Char('/') => model.mode = Mode::Filtering,
        KeyCode::Char('?') => model.mode = Mode::Help,
        KeyCode::Char('r') => return After::Refresh,
        KeyCode::Char(letter) => return acting(model, letter),
        _ => {}
    }
    model.keep_selection();
    After::Draw
}

/// Keys that do something with the selected worktree.
fn acting(model: &mut Model, letter: char) -> After {
    let Some(place) = model.selected().map(Place::of) else { return After::Draw };
    match letter {
        'c' => After::Do(Action::Claim(place)),
        'l' => After::Do(Action::Release(place)),
        'o' => After::Open(place.path),
        'd' => After::Do(Action::Diff(place)),
        's' => After::Do(Action::Resume(place)),
        'x' if model.running().is_none() => {
            model.notice = Some(format!("no session runs in {}", crate::style::one_line(&place.name)));
            After::Draw
        }
        'x' => {
            model.mode = Mode::Killing;
            After::Draw
        }
        _ => After::Draw,
    }
}

fn killing(model: &mut Model, code: KeyCode) -> After {
    model.mode = Mode::Browsing;
    match (code, model.running()) {
        (KeyCode::Char('y' | 'Y'), Some(session)) => After::Do(Action::Kill(session.id.clone())),
        _ => After::Draw,
    }
}

fn reading(model: &mut Model, code: KeyCode) -> After {
    match code {
        KeyCode::Up | KeyCode::Char('k') => model.scroll(-1),
        KeyCode::Down | KeyCode::Char('j') => model.scroll(1),
        KeyCode::PageUp => model.scroll(-PAGE),
        KeyCode::PageDown | KeyCode::Char(' ') => model.scroll(PAGE),
        KeyCode::Home | KeyCode::Char('g') => model.scroll(isize::MIN),
        KeyCode::End | KeyCode::Char('G') => model.scroll(isize::MAX),
        _ => model.mode = Mode::Browsing,
    }
    After::Draw
}

fn filtering(model: &mut Model, code: KeyCode) -> After {
    match code {
        KeyCode::Enter => model.mode = Mode::Browsing,
        KeyCode::Esc => {
            model.filter.clear();
            model.mode = Mode::Browsing;
        }
        KeyCode::Backspace => {
            model.filter.pop();
        }
        KeyCode::Up => model.select(-1),
        KeyCode::Down => model.select(1),
        KeyCode::Char(letter) if model.filter.chars().count() < 100 => model.filter.push(letter),
        _ => {}
    }
    model.keep_selection();
    After::Draw
}

#[cfg(test)]
mod tests {
    use super::super::model::tests::model;
    use super::*;

    fn press(model: &mut Model, code: KeyCode) -> After {
        key(model, KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn a_filter_is_typed_kept_and_cleared() {
        let mut model = model();
        press(&mut model, KeyCode::Char('/'));
        for letter in "free".chars() {
            press(&mut model, KeyCode::Char(letter));
        }
        assert_eq!(model.selected().unwrap().name, "feat-free");
        assert_eq!(press(&mut model, KeyCode::Char('q')), After::Draw);
        press(&mut model, KeyCode::Backspace);
        press(&mut model, KeyCode::Enter);
        assert_eq!((model.mode, model.filter.as_str()), (Mode::Browsing, "free"));
        press(&mut model, KeyCode::Esc);
        assert_eq!(model.shown().len(), 3);
        assert_eq!(press(&mut model, KeyCode::Esc), After::Quit);
    }

    #[test]
    fn keys_act_on_the_selected_worktree_and_killing_is_asked_once_more() {
        let mut model = model();
        for (letter, wanted) in [('c', "Claim"), ('l', "Release"), ('d', "Diff"), ('s', "Resume")] {
            let After::Do(action) = press(&mut model, KeyCode::Char(letter)) else { panic!("{letter}") };
            assert!(format!("{action:?}").starts_with(wanted), "{action:?}");
        }
        assert!(matches!(press(&mut model, KeyCode::Char('o')), After::Open(_)));
        press(&mut model, KeyCode::Char('x'));
        assert!(model.mode == Mode::Browsing && model.notice.is_some(), "no session runs there");
        let session = serde_json::json!({
            "id": "s1", "provider": "local", "model": null, "status": "in_progress", "title": "t", "agentId": null,
            "worktree": null, "worktreePath": model.selected().unwrap().path, "createdAt": "2026-01-01T00:00:00Z",
            "updatedAt": "2026-01-01T00:00:00Z", "checkpoint": null, "lastSeq": 0,
            "usage": { "inputTokens": 0, "outputTokens": 0, "costUsd": 0.0 },
        });
        model.sessions.push(serde_json::from_value(session).unwrap());
        let id = model.running().unwrap().id.clone();
        press(&mut model, KeyCode::Char('x'));
        assert_eq!(model.mode, Mode::Killing);
        assert_eq!(press(&mut model, KeyCode::Char('n')), After::Draw);
        press(&mut model, KeyCode::Char('x'));
        assert_eq!(press(&mut model, KeyCode::Char('y')), After::Do(Action::Kill(id)));
    }

    #[test]
    fn a_diff_is_scrolled_within_its_lines() {
        let mut model = model();
        let lines = (0..30).map(|line| line.to_string()).collect();
        model.came(super::super::action::Came::Diff { title: String::new(), lines });
        press(&mut model, KeyCode::PageDown);
        assert_eq!((model.mode, model.diff.top), (Mode::Diff, 10));
        press(&mut model, KeyCode::Char('G'));
        assert_eq!(model.diff.top, 29);
        press(&mut model, KeyCode::Home);
        press(&mut model, KeyCode::Up);
        assert_eq!(model.diff.top, 0);
        press(&mut model, KeyCode::Char('q'));
        assert_eq!(model.mode, Mode::Browsing);
    }

    #[test]
    fn arrows_select_enter_shows_and_q_quits() {
        let mut model = model();
        press(&mut model, KeyCode::Down);
        press(&mut model, KeyCode::Enter);
        assert_eq!((model.mode, model.selected().unwrap().name.as_str()), (Mode::Details, "fix-b"));
        press(&mut model, KeyCode::Esc);
        assert_eq!(model.mode, Mode::Browsing);
        assert_eq!(press(&mut model, KeyCode::Char('q')), After::Quit);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        model.mode = Mode::Filtering;
        assert_eq!(key(&mut model, interrupt), After::Quit);
    }
}
