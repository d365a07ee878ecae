//! The terminal: taken over for as long as a live view runs, and given back however it ends.

use std::io::{self, Stdout};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event};
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{cursor, execute};
use tokio::sync::mpsc;

/// Keys are looked for so long at a time.
const LOOK: Duration = Duration::from_millis(50);

/// The terminal in the state that a live view needs. Dropping it gives it back.
pub(crate) struct Screen(pub(crate) Terminal<CrosstermBackend<Stdout>>);

impl Screen {
    pub(crate) fn take() -> io::Result<Self> {
        enable_raw_mode()?;
        let taken = execute!(io::stdout(), EnterAlternateScreen, cursor::Hide)
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        match taken {
            Ok(terminal) => Ok(Self(terminal)),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }

    /// After it was given to a program. The old one stays: to drop it would give the terminal back.
    pub(crate) fn take_again(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, cursor::Hide)?;
        self.0.clear()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// As often as one likes.
pub(crate) fn give_back() {
    let _ = execute!(io::stdout(), LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
}

/// A panic's message would be lost on the other screen.
pub(crate) fn give_back_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        give_back();
        before(info);
    }));
}

/// Held while keys are read.
pub(crate) type Reader = Arc<Mutex<()>>;

/// Keys and resizes, read on a thread of their own since reading them blocks. It ends with the process.
pub(crate) fn keys() -> (mpsc::Receiver<Event>, Reader) {
    let (sender, receiver) = mpsc::channel(64);
    let reader = Reader::default();
    let turn = Arc::clone(&reader);
    let read = move || {
        loop {
            let reading = turn.lock().unwrap_or_else(PoisonError::into_inner);
            let event = match event::poll(LOOK) {
                Ok(true) => event::read(),
                Ok(false) => {
                    drop(reading);
                    // Whoever waits for the turn gets it.
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                }
                Err(error) => Err(error),
            };
            drop(reading);
            let Ok(event) = event else { return };
            if sender.blocking_send(event).is_err() {
                return;
            }
        }
    };
    // Without the thread the channel is closed, and the view ends at once.
    let _ = std::thread::Builder::new().name("keys".to_owned()).spawn(read);
    (receiver, reader)
}
