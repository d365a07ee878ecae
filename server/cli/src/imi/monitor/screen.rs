//! The terminal: taken over for as long as the monitor runs, and given back however it ends.

use std::io::{self, Stdout};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use podium_protocol::{Event as LogEvent, WireError};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event};
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{cursor, execute};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::input::{self, After};
use super::model::Model;
use super::{Snapshot, Source, action, draw, types};
use crate::output::{Ending, Failure};

/// Moves the ages on.
const CLOCK: Duration = Duration::from_secs(1);
/// A list is never older than this.
const OLDEST: Duration = Duration::from_secs(5);
/// Keys are looked for so long at a time.
const LOOK: Duration = Duration::from_millis(50);
/// Events within this time lead to one reading of the list.
const GATHER: Duration = Duration::from_millis(30);

/// The terminal in the state that the monitor needs. Dropping it gives it back.
struct Screen(Terminal<CrosstermBackend<Stdout>>);

impl Screen {
    fn take() -> io::Result<Self> {
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
    fn take_again(&mut self) -> io::Result<()> {
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
fn give_back() {
    let _ = execute!(io::stdout(), LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
}

/// A panic's message would be lost on the other screen.
fn give_back_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        give_back();
        before(info);
    }));
}

/// Runs until a person or a signal ends it.
pub(super) async fn run(source: &Source, model: Model) -> Ending {
    give_back_on_panic();
    let failed = |error: io::Error| Failure::from(WireError::internal(format!("the terminal: {error}")));
    let mut screen = Screen::take().map_err(failed)?;
    let ending = follow(source, model, &mut screen).await;
    drop(screen);
    ending
}

async fn follow(source: &Source, mut model: Model, screen: &mut Screen) -> Ending {
    let failed = |error: io::Error| Failure::from(WireError::internal(format!("the terminal: {error}")));
    let (mut keys, reader) = keys();
    let mut ends = [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()].map(signal);
    let last = model.feed.back().map(|event| event.seq).unwrap_or_default();
    let mut log = source.client.subscribe(Some(last), types()).await?;
    let (answers, mut lists) = mpsc::channel::<Result<Snapshot, WireError>>(1);
    let (came, mut done) = mpsc::channel(4);
    let mut clock = interval(CLOCK);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // At most one reading is under way; what happens meanwhile leads to another one.
    let (mut reading, mut due) = (false, Some(Instant::now()));
    loop {
        screen.0.draw(|frame| draw::draw(frame, &model, Timestamp::now())).map_err(failed)?;
        tokio::select! {
            key = keys.recv() => match key {
                Some(Event::Key(key)) => match input::key(&mut model, key) {
                    After::Quit => return Ok(0),
                    After::Refresh => due = Some(Instant::now()),
                    After::Draw => {}
                    After::Do(action) => {
                        let (client, came) = (source.client.clone(), came.clone());
                        tokio::spawn(async move { came.send(action::run(&client, action).await).await });
                    }
                    After::Open(folder) => {
                        open(&mut model, screen, &reader, folder).await.map_err(failed)?;
                        due = Some(Instant::now());
                    }
                },
                // A resize is taken in by the next drawing.
                Some(_) => {}
                None => return Ok(0),
            },
            event = log.next() => match event {
                Some(event) => {
                    took(&mut model, event);
                    due = Some(due.unwrap_or(Instant::now() + GATHER).min(Instant::now() + GATHER));
                }
                None => return Err(WireError::unavailable("the daemon went away").into()),
            },
            Some(done) = done.recv() => model.came(done),
            Some(list) = lists.recv() => {
                reading = false;
                due = Some(due.unwrap_or(Instant::now() + OLDEST));
                match list {
                    Ok(snapshot) => model.show(snapshot),
                    Err(error) => model.trouble = Some(error.message),
                }
            }
            () = until(due), if !reading => {
                (reading, due) = (true, None);
                let (source, answers) = (source.clone(), answers.clone());
                tokio::spawn(async move { answers.send(source.snapshot().await).await });
            }
            _ = clock.tick() => {}
            () = any(&mut ends) => return Ok(0),
        }
    }
}

fn took(model: &mut Model, event: LogEvent) {
    if model.feed.back().is_none_or(|last| last.seq < event.seq) {
        model.happened(event);
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Gives the terminal to a program in the folder, and takes it back when that ends.
async fn open(model: &mut Model, screen: &mut Screen, reader: &Reader, folder: PathBuf) -> io::Result<()> {
    let reader = Arc::clone(reader);
    let opened = tokio::task::spawn_blocking(move || {
        // The thread that reads keys must not take those that are meant for the program.
        let _keys = reader.lock().unwrap_or_else(PoisonError::into_inner);
        give_back();
        action::open(&folder)
    })
    .await
    .map_err(io::Error::other)?;
    screen.take_again()?;
    model.notice = opened.err();
    Ok(())
}

/// Held while keys are read.
type Reader = Arc<Mutex<()>>;

/// Keys and resizes, read on a thread of their own since reading them blocks. It ends with the process.
fn keys() -> (mpsc::Receiver<Event>, Reader) {
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
    // Without the thread the channel is closed, and the monitor ends at once.
    let _ = std::thread::Builder::new().name("keys".to_owned()).spawn(read);
    (receiver, reader)
}

async fn any(signals: &mut [io::Result<tokio::signal::unix::Signal>; 3]) {
    let [first, second, third] = signals;
    tokio::select! {
        () = one(first) => {}
        () = one(second) => {}
        () = one(third) => {}
    }
}

async fn one(signal: &mut io::Result<tokio::signal::unix::Signal>) {
    match signal {
        Ok(signal) => {
            signal.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}
