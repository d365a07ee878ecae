//! What is stored of a followed agent, together with the items that were made from its output.

use podium_process::runner::AgentEnd;
use podium_store::now_ms;
use serde::{Deserialize, Serialize};

/// Restarts within [`WINDOW_MS`], at most.
const RESTARTS: usize = 3;
const WINDOW_MS: i64 = 60_000;

/// How far an agent was followed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Memory<R> {
    /// The runner's run; empty where none is to be gone on with.
    pub(crate) run: String,
    /// Bytes of its output that are processed.
    pub(crate) offset: u64,
    /// What the reader has to know of the bytes before.
    pub(crate) reader: R,
    /// How the run ended, once all it said is processed; its errors are redacted.
    #[serde(default)]
    pub(crate) end: Option<AgentEnd>,
    /// When agents of this turn died.
    #[serde(default)]
    deaths: Vec<i64>,
    /// It was told that commits of this run do not come over.
    #[serde(default)]
    pub(crate) told_left: bool,
}

/// What follows the death of an agent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Death {
    Restart,
    TooMany,
}

impl<R: Default + Serialize + for<'a> Deserialize<'a>> Memory<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { run: uuid::Uuid::now_v7().to_string(), reader, ..Self::default() }
    }

    /// Unreadable state is that of another version; nothing can be gone on with.
    pub(crate) fn read(state: Option<&[u8]>) -> Option<Self> {
        serde_json::from_slice(state?).ok()
    }

    pub(crate) fn state(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Another run is to follow.
    pub(crate) fn again(&mut self) {
        self.run = uuid::Uuid::now_v7().to_string();
        self.offset = 0;
        self.end = None;
        self.told_left = false;
    }

    /// The agent of this run is dead; another run may follow.
    pub(crate) fn died(&mut self) -> Death {
        self.died_at(now_ms())
    }

    fn died_at(&mut self, now: i64) -> Death {
        self.deaths.retain(|at| now - at < WINDOW_MS);
        self.deaths.push(now);
        self.again();
        if self.deaths.len() > RESTARTS { Death::TooMany } else { Death::Restart }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_restarts_a_minute_and_no_more() {
        let mut memory = Memory::new(());
        let deaths: Vec<Death> = [0, 1_000, 2_000, 3_000].iter().map(|at| memory.died_at(*at)).collect();
        assert_eq!(deaths, [Death::Restart, Death::Restart, Death::Restart, Death::TooMany]);
        assert_eq!(memory.died_at(62_500), Death::Restart, "a minute later it may try again");
    }

    #[test]
    fn a_restart_survives_being_stored() {
        let mut memory = Memory::<u32> {
            run: "r".into(),
            offset: 7,
            reader: 3,
            end: None,
            deaths: vec![1],
            told_left: true,
        };
        assert_eq!(Memory::read(Some(&memory.state())), Some(memory.clone()));
        memory.died_at(5);
        assert_eq!((memory.offset, memory.deaths.as_slice()), (0, &[1, 5][..]));
        assert_ne!(memory.run, "r");
        assert_eq!(Memory::<u32>::read(Some(b"not json")), None);
    }
}
