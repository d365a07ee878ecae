//! Types of events: whose they are, and what a new one may be called.

use crate::BrokerError;

/// Longest type, in bytes.
const LONGEST: usize = 128;

/// First words of the types that only the daemon emits: such an event tells of what was stored with it.
const RESERVED: [&str; 32] = [
    "artifact",
    "budget",
    "claim",
    "config",
    "daemon",
    "event",
    "guard",
    "hook",
    "inbox",
    "melody",
    "merge",
    "model",
    "node",
    "permission",
    "pit",
    "podium",
    "pool",
    "provider",
    "radar",
    "repo",
    "review",
    "run",
    "session",
    "spare",
    "sync",
    "task",
    "tool",
    "tree",
    "undo",
    "upkeep",
    "workspace",
    "worktree",
];

/// Participles without `ed` at their end.
const IRREGULAR: &str = "begun bent bound bought bred broken brought built burnt burst cast caught chosen cleft clung \
    come cut dealt done drawn driven dug eaten fallen fed felt flown forbidden forgiven forgotten fought found frozen \
    given gone grown heard held hidden hit hung hurt kept known laid lain learnt led left lent let lit lost made meant \
    met overridden paid put read rebuilt resent reset rewritten ridden risen run said seen sent set shaken shot shown \
    shrunk shut slept slid sold sought spent split spoken spread spun stolen stood struck stuck sung sunk sworn swum \
    swung taken taught thought thrown told torn undone understood upset withdrawn won worn wound written";

/// Types that a person may publish although their noun is the daemon's.
pub(crate) const ASSIGNED: &str = "task.assigned";
pub(crate) const COMPLETED: &str = "task.completed";
pub(crate) const FAILED: &str = "task.failed";

/// Whose a type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// The daemon's alone.
    Reserved,
    /// A person's: it makes Podium act.
    OfTasks,
    /// Anybody's.
    Custom,
}

/// Judges the type of an event that somebody wants to publish.
///
/// # Errors
/// [`BrokerError::Name`] for what is no name of an event.
pub fn judge(name: &str) -> Result<Judged, BrokerError> {
    let wrong = |why: &str| BrokerError::Name { name: shown(name), why: why.to_owned() };
    if name.len() > LONGEST {
        return Err(wrong("it has more than 128 bytes"));
    }
    let words: Vec<&str> = name.split('.').collect();
    if words.len() < 2 || !words.iter().all(|word| is_word(word)) {
        return Err(wrong("it has two or more words of a-z, 0-9 and _ with dots between them"));
    }
    if [ASSIGNED, COMPLETED, FAILED].contains(&name) {
        return Ok(Judged::OfTasks);
    }
    if RESERVED.contains(&words[0]) {
        return Ok(Judged::Reserved);
    }
    match words.last() {
        Some(last) if !is_participle(last) => {
            Err(wrong("its last word does not say what has happened, as `finished` and `built` do"))
        }
        _ => Ok(Judged::Custom),
    }
}

fn is_word(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase())
        && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// The verb may stand before its particle: `signed_off`, `rolled_back`.
fn is_participle(word: &str) -> bool {
    word.split('_').any(|part| {
        (part.len() > 3 && part.ends_with("ed")) || IRREGULAR.split_whitespace().any(|known| known == part)
    })
}

fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_has_happened_may_be_published_and_orders_may_not() {
        for name in ["deploy.finished", "release.candidate.built", "build_7.rolled_back", "x.lost"] {
            assert_eq!(judge(name).unwrap(), Judged::Custom, "{name}");
        }
        for name in
            ["deploy", "deploy.finish", "Deploy.finished", "deploy..finished", "deploy.fin ished", ".", ""]
        {
            assert!(judge(name).is_err(), "{name}");
        }
        assert!(judge(&format!("{}.finished", "x".repeat(200))).is_err());
    }

    #[test]
    fn nouns_of_the_daemon_are_its_own() {
        for name in ["worktree.claimed", "session.ended", "task.started", "worktree.blessed", "tool.denied"] {
            assert_eq!(judge(name).unwrap(), Judged::Reserved, "{name}");
        }
        for name in ["task.assigned", "task.completed", "task.failed"] {
            assert_eq!(judge(name).unwrap(), Judged::OfTasks, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_panic(name in ".{0,200}") {
            if let Ok(Judged::Custom) = judge(&name) {
                prop_assert!(name.is_ascii() && name.contains('.') && name.len() <= LONGEST);
            }
        }
    }
}
