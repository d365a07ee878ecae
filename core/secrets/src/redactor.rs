use std::{collections::BTreeMap, path::Path};

use aho_corasick::{AhoCorasick, Anchored, Input, MatchKind, StartKind};

use crate::{
    KnownSecrets, StreamState,
    patterns::{self, Found, Place, Verdict},
};

/// Replaces known secrets and well-known shapes of secrets by `[redacted:NAME]`. Share one by `Arc`.
pub struct Redactor {
    /// Known values (their index is the index into `names`), then the starts of known shapes.
    search: AhoCorasick,
    names: Vec<String>,
    /// All that is searched for, sorted: whether a text is the start of any is one binary search.
    literals: Vec<String>,
    /// Bytes with which one of `literals` begins.
    first_bytes: [bool; 256],
    longest: usize,
}

impl Redactor {
    /// # Panics
    /// Never: the values are bounded, so that the search tables can be built.
    #[expect(
        clippy::expect_used,
        reason = "KnownSecrets bounds number and length of values, far below what can be searched for"
    )]
    pub fn new(known: &KnownSecrets) -> Self {
        let mut all: Vec<&str> = known.iter().map(|(value, _)| value).collect();
        for trigger in patterns::triggers() {
            all.push(trigger);
        }
        let search = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .start_kind(StartKind::Both)
            .build(&all)
            .expect("bounded patterns");
        let mut first_bytes = [false; 256];
        for literal in &all {
            first_bytes[usize::from(literal.as_bytes()[0])] = true;
        }
        let longest = all.iter().map(|literal| literal.len()).max().unwrap_or(0);
        let mut literals: Vec<_> = all.into_iter().map(|literal| literal.to_owned()).collect();
        literals.sort_unstable();
        let names = known.iter().map(|(_, name)| name.to_owned()).collect();
        Self { search, names, literals, first_bytes, longest }
    }

    /// For a session: knows the secret ones of the variables that came with its request, and those in the `.env` files of
    /// its worktree. Reads files: call on a blocking thread.
    pub fn for_session(variables: &BTreeMap<String, String>, worktree: Option<&Path>) -> Self {
        let mut known = KnownSecrets::new();
        for (name, value) in variables {
            known.add_variable(name, value);
        }
        if let Some(worktree) = worktree {
            known.add_worktree(worktree);
        }
        Self::new(&known)
    }

    /// A text that is complete.
    pub fn redact(&self, text: &str) -> String {
        StreamState::default().advance(self, text, true)
    }

    /// A complete text without known values; shapes stay.
    pub(crate) fn without_known(&self, text: &str) -> String {
        let (mut out, mut done, mut from) = (String::new(), 0, 0);
        while let Some(found) = self.search.find(Input::new(text).range(from..)) {
            if let Some(name) = self.names.get(found.pattern().as_usize()) {
                out.push_str(&text[done..found.start()]);
                out.push_str(&mark(name));
                (done, from) = (found.end(), found.end());
            } else {
                // The start of a shape: a known value may begin within it.
                from = found.start() + 1;
            }
        }
        out.push_str(&text[done..]);
        out
    }

    /// Where the next known value or shape may begin, from byte `from` on.
    pub(crate) fn next_candidate(&self, text: &str, from: usize) -> Option<usize> {
        self.search.find(Input::new(text).range(from..)).map(|found| found.start())
    }

    /// The first byte from `from` on where the rest of `text` could be the start of something searched for.
    pub(crate) fn open_end(&self, text: &str, from: usize) -> Option<usize> {
        let start = from.max((text.len() + 1).saturating_sub(self.longest));
        let bytes = text.as_bytes();
        (start..text.len())
            .filter(|at| self.first_bytes[usize::from(bytes[*at])] && text.is_char_boundary(*at))
            .find(|at| self.is_start(&text[*at..]))
    }

    /// Whether `text` is the beginning, but not the whole, of a literal.
    fn is_start(&self, text: &str) -> bool {
        let at = self.literals.partition_point(|literal| literal.as_str() <= text);
        self.literals.get(at).is_some_and(|literal| literal.starts_with(text))
    }

    pub(crate) fn judge(&self, place: &Place<'_>) -> Verdict {
        if !place.whole && self.is_start(place.rest) {
            return Verdict::NeedMore;
        }
        let found = self.search.find(Input::new(place.rest).anchored(Anchored::Yes));
        match found.and_then(|found| Some((found.end(), self.names.get(found.pattern().as_usize())?))) {
            Some((length, name)) => {
                Verdict::Secret(Found { name: name.clone(), shown: 0, length, rest: None })
            }
            None => place.judge(),
        }
    }
}

/// What stands in place of a secret.
pub(crate) fn mark(name: &str) -> String {
    format!("[redacted:{name}]")
}

/// Knows shapes only.
impl Default for Redactor {
    fn default() -> Self {
        Self::new(&KnownSecrets::new())
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").field("known", &self.names.len()).finish_non_exhaustive()
    }
}
