//! The conflict radar on the lines of open documents.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use podium_protocol::{
    ConflictFile, ConflictKind, ConflictPair, RepoSelector, Worktree, WorktreeConflictsMethod,
    WorktreeConflictsParams,
};
use tower_lsp::ls_types::{
    Diagnostic, DiagnosticRelatedInformation, DiagnosticSeverity, Location, NumberOrString, Position, Range,
    Uri,
};

use crate::documents::Document;
use crate::position::Encoding;
use crate::state::{State, lock};
use crate::uris;

/// Longest saved file that is compared with an open document, in bytes.
const LONGEST: u64 = 8 * 1024 * 1024;

/// Conflicts of the repositories that the open documents lie in, as last heard.
#[derive(Default)]
pub(crate) struct Radar {
    repos: Mutex<HashMap<String, Heard>>,
}

#[derive(Default)]
struct Heard {
    pairs: Arc<Vec<ConflictPair>>,
    /// Rises when they may have changed; what was asked before is asked anew.
    wanted: u64,
    known: u64,
    asking: bool,
}

impl Radar {
    /// What was heard may be true no more. It is shown until the answer comes.
    pub(crate) fn doubt(&self) {
        lock(&self.repos).values_mut().for_each(|heard| heard.wanted += 1);
    }
}

/// Conflicts in a worktree's repository as far as they are known; asks for them where that is not as of now.
pub(crate) fn conflicts(state: &Arc<State>, worktree: &Worktree) -> Arc<Vec<ConflictPair>> {
    let mut repos = lock(&state.radar.repos);
    let heard =
        repos.entry(worktree.repo.id.clone()).or_insert_with(|| Heard { wanted: 1, ..Heard::default() });
    if heard.wanted != heard.known && !heard.asking {
        heard.asking = true;
        tokio::spawn(ask(Arc::clone(state), worktree.clone(), heard.wanted));
    }
    heard.pairs.clone()
}

async fn ask(state: Arc<State>, worktree: Worktree, wanted: u64) {
    let at = match &worktree.path_bytes {
        Some(bytes) => RepoSelector { repo_bytes: Some(bytes.clone()), ..Default::default() },
        None => RepoSelector { repo: Some(worktree.path.clone()), ..Default::default() },
    };
    let params = WorktreeConflictsParams { at, name: None };
    let answer = state.daemon.call::<WorktreeConflictsMethod>(params).await;
    let again = {
        let mut repos = lock(&state.radar.repos);
        let Some(heard) = repos.get_mut(&worktree.repo.id) else { return };
        heard.asking = false;
        match answer {
            Ok(answer) => {
                heard.known = wanted;
                let changed = *heard.pairs != answer.pairs;
                heard.pairs = Arc::new(answer.pairs);
                changed || heard.wanted != heard.known
            }
            // The next change asks again; what was shown stays while the daemon is away.
            Err(error) => {
                tracing::debug!(%error, "conflicts cannot be asked for");
                false
            }
        }
    };
    if again {
        state.changed.notify_one();
    }
}

/// A document, and where it lies.
pub(crate) struct Shown<'a> {
    pub(crate) path: PathBuf,
    pub(crate) worktree: &'a Worktree,
    pub(crate) document: &'a Document,
    pub(crate) encoding: Encoding,
}

/// One side's view of a conflict.
struct Mine<'a> {
    file: &'a ConflictFile,
    ranges: &'a [[u32; 2]],
    other: &'a str,
    owner: Option<&'a str>,
    trunk: bool,
    /// The file in the other worktree.
    there: Option<PathBuf>,
    their_ranges: &'a [[u32; 2]],
}

/// What the radar says about a document.
pub(crate) fn diagnostics(shown: &Shown<'_>, pairs: &[ConflictPair]) -> Vec<Diagnostic> {
    let Ok(path) = shown.path.strip_prefix(&shown.worktree.path) else { return Vec::new() };
    let conflicts: Vec<Mine<'_>> = pairs
        .iter()
        .filter_map(|pair| side(pair, &shown.worktree.name))
        .flat_map(|side| side.at(path))
        .collect();
    if conflicts.is_empty() {
        return Vec::new();
    }
    // Conflicts are in what was saved; the person may have typed since.
    let shift = Shift::between(&shown.path, shown.document);
    conflicts.iter().flat_map(|conflict| conflict.diagnostics(shown, &shift)).collect()
}

struct Side<'a> {
    pair: &'a ConflictPair,
    is_a: bool,
}

fn side<'a>(pair: &'a ConflictPair, worktree: &str) -> Option<Side<'a>> {
    let is_a = pair.a == worktree;
    (is_a || (!pair.trunk && pair.b == worktree)).then_some(Side { pair, is_a })
}

impl<'a> Side<'a> {
    fn at(&self, path: &Path) -> Vec<Mine<'a>> {
        let pair = self.pair;
        let mine = pair.files.iter().map(|file| {
            let path_b = file.path_b.as_deref().unwrap_or(&file.path);
            let (own, there) =
                if self.is_a { (file.path.as_str(), path_b) } else { (path_b, file.path.as_str()) };
            let folder = if self.is_a { pair.path_b.as_deref() } else { Some(pair.path_a.as_str()) };
            let (ranges, their_ranges) =
                if self.is_a { (&file.ranges, &file.ranges_b) } else { (&file.ranges_b, &file.ranges) };
            let (other, owner) = if self.is_a { (&pair.b, &pair.owner_b) } else { (&pair.a, &pair.owner_a) };
            let there = folder.map(|folder| Path::new(folder).join(there));
            let mine =
                Mine { file, ranges, other, owner: owner.as_deref(), trunk: pair.trunk, there, their_ranges };
            (own, mine)
        });
        mine.filter(|(own, _)| Path::new(own) == path).map(|(_, mine)| mine).collect()
    }
}

impl Mine<'_> {
    fn diagnostics(&self, shown: &Shown<'_>, shift: &Shift) -> Vec<Diagnostic> {
        // Without lines it is about the whole file.
        let whole = [[1, 1]];
        let ranges = if self.ranges.is_empty() { &whole[..] } else { self.ranges };
        let diagnostic = |(nth, range): (usize, &[u32; 2])| Diagnostic {
            range: shift.range(shown, *range),
            severity: Some(DiagnosticSeverity::WARNING),
            code: Some(NumberOrString::String("radar".to_owned())),
            source: Some("podium".to_owned()),
            message: self.message(),
            related_information: self.related(nth),
            ..Default::default()
        };
        ranges.iter().enumerate().map(diagnostic).collect()
    }

    fn message(&self) -> String {
        let who = match self.owner {
            Some(owner) => format!("{}, held by {owner},", self.other),
            None if self.trunk => format!("Trunk ({})", self.other),
            None => self.other.to_owned(),
        };
        match self.file.kind {
            ConflictKind::Content if !self.ranges.is_empty() => format!("{who} changes these lines too"),
            ConflictKind::AddAdd => format!("{who} makes this file too, with other content"),
            ConflictKind::ModifyDelete => format!("{who} deletes this file"),
            ConflictKind::Rename => format!("{who} moves or deletes this file, which is renamed here"),
            ConflictKind::Directory => format!("{who} has a folder where this file is, or the reverse"),
            ConflictKind::Mode => format!("{who} makes this another kind of file"),
            ConflictKind::Content | ConflictKind::Binary | ConflictKind::Submodule => {
                format!("{who} changes this file too")
            }
        }
    }

    /// The same conflict on the other side: the n-th is the n-th there.
    fn related(&self, nth: usize) -> Option<Vec<DiagnosticRelatedInformation>> {
        let uri: Uri = uris::from_path(self.there.as_ref()?)?.parse().ok()?;
        let [from, to] = self.their_ranges.get(nth).or(self.their_ranges.first()).copied()?;
        // Lengths of lines there are not known here: up to where the next line begins.
        let range = Range::new(Position::new(from.saturating_sub(1), 0), Position::new(to, 0));
        let message = format!("in {}", self.other);
        Some(vec![DiagnosticRelatedInformation { location: Location { uri, range }, message }])
    }
}

/// How lines moved between the saved file and the document: those before the first difference stayed, those behind
/// the last one moved together.
#[derive(Debug, Default)]
struct Shift {
    /// Lines that both begin with, and end with.
    same: usize,
    tail: usize,
    saved: usize,
    now: usize,
}

impl Shift {
    fn between(path: &Path, document: &Document) -> Self {
        let short = path.metadata().is_ok_and(|found| found.len() <= LONGEST);
        match short.then(|| std::fs::read_to_string(path)) {
            Some(Ok(saved)) => Self::of(&saved, &document.text),
            _ => Self::default(),
        }
    }

    fn of(saved: &str, now: &str) -> Self {
        if saved == now {
            return Self::default();
        }
        let (saved, now): (Vec<&str>, Vec<&str>) = (saved.lines().collect(), now.lines().collect());
        let same = saved.iter().zip(&now).take_while(|(a, b)| a == b).count();
        let rest = saved.len().min(now.len()) - same;
        let tail = saved.iter().rev().zip(now.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
        Self { same, tail, saved: saved.len(), now: now.len() }
    }

    fn line(&self, line: usize) -> usize {
        if line < self.same || self.saved == 0 {
            line
        } else if line + self.tail >= self.saved {
            line + self.now - self.saved
        } else {
            // Within what is being typed.
            line.min((self.now - self.tail).saturating_sub(1)).max(self.same.min(self.now.saturating_sub(1)))
        }
    }

    /// Whole lines of the document for lines of the saved file, which count from 1.
    fn range(&self, shown: &Shown<'_>, [from, to]: [u32; 2]) -> Range {
        let last = shown.document.line_count().saturating_sub(1);
        let line = |number: u32| self.line(number.saturating_sub(1) as usize).min(last);
        let (first, end) = (line(from), line(to.max(from)));
        let (first, end) = (
            shown.document.line_range(first, shown.encoding),
            shown.document.line_range(end, shown.encoding),
        );
        Range::new(first.start, end.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::Documents;
    use podium_protocol::{RepoRef, WorktreeState};

    fn worktree(name: &str) -> Worktree {
        Worktree {
            id: name.into(),
            repo: RepoRef { id: "r".into(), root: "/r".into() },
            name: name.into(),
            path: format!("/w/{name}"),
            path_bytes: None,
            branch: None,
            kind: "feat".into(),
            trunk: false,
            pr: None,
            claim: None,
            status: None,
            last_commit: None,
            conflicts_with: vec![],
            state: WorktreeState::Ready,
        }
    }

    fn pair() -> ConflictPair {
        ConflictPair {
            a: "feat-x".into(),
            b: "feat-api".into(),
            trunk: false,
            owner_a: None,
            owner_b: Some("claude-1".into()),
            path_a: "/w/feat-x".into(),
            path_b: Some("/w/feat-api".into()),
            files: vec![ConflictFile {
                path: "src/new.rs".into(),
                path_b: Some("src/old.rs".into()),
                kind: ConflictKind::Content,
                ranges: vec![[2, 3]],
                ranges_b: vec![[5, 5]],
            }],
        }
    }

    fn shown(name: &str, file: &str, text: &str, encoding: Encoding) -> Vec<Diagnostic> {
        let mut documents = Documents::default();
        documents.open("u".into(), "rust".into(), 1, text.into());
        let worktree = worktree(name);
        let document = documents.get("u").unwrap();
        let path = Path::new(&worktree.path).join(file);
        diagnostics(&Shown { path, worktree: &worktree, document, encoding }, &[pair()])
    }

    #[test]
    fn both_sides_see_their_own_lines_and_the_way_to_the_other() {
        let found = shown("feat-x", "src/new.rs", "a\nüb\n𝄞c\nd\n", Encoding::Utf16);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].range, Range::new(Position::new(1, 0), Position::new(2, 3)));
        assert_eq!(found[0].message, "feat-api, held by claude-1, changes these lines too");
        let related = &found[0].related_information.as_ref().unwrap()[0];
        assert_eq!(related.location.uri.as_str(), "file:///w/feat-api/src/old.rs");
        assert_eq!(related.location.range.start.line, 4);
        let found = shown("feat-api", "src/old.rs", "1\n2\n3\n4\n5\n", Encoding::Utf8);
        assert_eq!(
            (found[0].range.start.line, found[0].message.as_str()),
            (4, "feat-x changes these lines too")
        );
    }

    #[test]
    fn other_files_and_worktrees_have_none() {
        assert_eq!(shown("feat-x", "src/old.rs", "a\n", Encoding::Utf16), []);
        assert_eq!(shown("feat-y", "src/new.rs", "a\n", Encoding::Utf16), []);
    }

    #[test]
    fn lines_beyond_the_document_are_its_last() {
        let found = shown("feat-x", "src/new.rs", "only", Encoding::Utf16);
        assert_eq!(found[0].range, Range::new(Position::new(0, 0), Position::new(0, 4)));
    }

    #[test]
    fn lines_behind_what_is_typed_move_with_it() {
        let shift = Shift::of("a\nb\nc\nd\n", "a\nnew\nnew\nb\nc\nd\n");
        assert_eq!([0, 1, 3].map(|line| shift.line(line)), [0, 3, 5]);
        let shift = Shift::of("a\nb\nc\nd\n", "a\nd\n");
        assert_eq!([0, 1, 2, 3].map(|line| shift.line(line)), [0, 1, 1, 1]);
        let shift = Shift::of("a\n", "");
        assert_eq!(shift.line(0), 0);
        assert_eq!(Shift::of("", "a\n").line(0), 0);
    }
}
