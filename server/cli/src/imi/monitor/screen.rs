//! The monitor on the terminal: what is drawn, and what keys and events lead to.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use podium_protocol::{Event as LogEvent, WireError};
use ratatui::crossterm::event::Event;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::input::{self, After};
use super::model::Model;
use super::{Snapshot, Source, action, draw, types};
use crate::output::{Ending, Failure};
use crate::screen::{Reader, Screen, give_back, give_back_on_panic, keys};

/// Moves the ages on.
const CLOCK: Duration = Duration::from_secs(1);
/// A list is never older than this.
const OLDEST: Duration = Duration::from_secs(5);
/// Events within this time lead to one reading of the list.
const GATHER: Duration = Duration::from_millis(30);

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
