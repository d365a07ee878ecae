//! What the keys do.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::model::{Mode, Model};

/// Rows of one page.
const PAGE: isize = 10;

/// What follows from a key beyond the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Draw,
    Refresh,
    Quit,
}

pub(super) fn key(model: &mut Model, key: KeyEvent) -> After {
    if key.kind == KeyEventKind::Release {
        return After::Draw;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) && matches!(key.code, KeyCode::Char('c' | 'd')) {
        return After::Quit;
    }
    match model.mode {
        Mode::Filtering => filtering(model, key.code),
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
        _ => {}
    }
    model.keep_selection();
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
