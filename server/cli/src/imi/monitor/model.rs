//! What the monitor knows, and what of it is on the screen.

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;
use podium_protocol::{Alive, Event, SessionInfo, Worktree};

use super::Snapshot;
use super::action::Came;
use crate::imi::render;
use crate::style::one_line;
use crate::time::ago;

/// Events kept for the feed.
const FEED: usize = 500;

/// What the keys are for at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Browsing,
    Filtering,
    Help,
    /// The details of the selected worktree.
    Details,
    Diff,
    /// A session is to be cancelled: asked once more.
    Killing,
}

/// A diff on the screen.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) title: String,
    pub(super) lines: Vec<String>,
    /// The first line on the screen.
    pub(super) top: usize,
}

#[derive(Debug)]
pub(super) struct Model {
    pub(super) worktrees: Vec<Worktree>,
    pub(super) sessions: Vec<SessionInfo>,
    /// Oldest first.
    pub(super) feed: VecDeque<Event>,
    /// Time of the newest event about each worktree, by its id.
    activity: HashMap<String, String>,
    /// Names of worktrees by id, also of those that went: events are about them still.
    names: HashMap<String, String>,
    pub(super) selected: Option<String>,
    pub(super) filter: String,
    pub(super) mode: Mode,
    /// Of every repository.
    pub(super) all: bool,
    /// What is wrong, in one line.
    pub(super) trouble: Option<String>,
    /// What came of the last key, until the next one.
    pub(super) notice: Option<String>,
    pub(super) diff: Shown,
}

/// Who holds a worktree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    Nobody,
    Person(Alive),
    Agent(Alive),
}

/// One line of the table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) branch: String,
    pub(super) owner: String,
    pub(super) holder: Holder,
    pub(super) changes: String,
    pub(super) trunk: String,
    pub(super) activity: String,
    pub(super) commit: String,
    pub(super) note: String,
    pub(super) conflicts: bool,
}

impl Model {
    pub(super) fn new(all: bool) -> Self {
        Self {
            worktrees: Vec::new(),
            sessions: Vec::new(),
            feed: VecDeque::new(),
            activity: HashMap::new(),
            names: HashMap::new(),
            selected: None,
            filter: String::new(),
            mode: Mode::Browsing,
            all,
            trouble: None,
            notice: None,
            diff: Shown::default(),
        }
    }

    pub(super) fn came(&mut self, came: Came) {
        match came {
            Came::Note(note) => self.notice = Some(note),
            Came::Diff { title, lines } => {
                self.diff = Shown { title, lines, top: 0 };
                self.mode = Mode::Diff;
            }
        }
    }

    /// Moves the diff by so many lines.
    pub(super) fn scroll(&mut self, step: isize) {
        let last = self.diff.lines.len().saturating_sub(1);
        self.diff.top = self.diff.top.saturating_add_signed(step).min(last);
    }

    /// The newest running session in the selected worktree.
    pub(super) fn running(&self) -> Option<&SessionInfo> {
        let path = &self.selected()?.path;
        let here = self.sessions.iter().filter(|session| session.worktree_path.as_ref() == Some(path));
        here.max_by(|a, b| a.created_at.cmp(&b.created_at))
    }

    pub(super) fn show(&mut self, snapshot: Snapshot) {
        self.worktrees = snapshot.worktrees;
        self.sessions = snapshot.sessions;
        self.trouble = None;
        for worktree in &self.worktrees {
            self.names.insert(worktree.id.clone(), one_line(&worktree.name));
        }
        self.keep_selection();
    }

    pub(super) fn happened(&mut self, event: Event) {
        if let Some(id) = event.subject.as_deref().and_then(|subject| subject.strip_prefix("worktree/")) {
            self.activity.insert(id.to_owned(), event.time.clone());
            if let Some(name) = event.data["name"].as_str() {
                self.names.insert(id.to_owned(), one_line(name));
            }
        }
        if self.feed.len() == FEED {
            self.feed.pop_front();
        }
        self.feed.push_back(event);
    }

    /// The worktrees that the filter lets through.
    pub(super) fn shown(&self) -> Vec<&Worktree> {
        let wanted = self.filter.to_lowercase();
        let holds = |text: &str| text.to_lowercase().contains(&wanted);
        let matches = |worktree: &&Worktree| {
            holds(&worktree.name)
                || worktree.branch.as_deref().is_some_and(holds)
                || worktree.claim.as_ref().is_some_and(|claim| holds(&claim.agent_id))
        };
        self.worktrees.iter().filter(matches).collect()
    }

    pub(super) fn selected(&self) -> Option<&Worktree> {
        let id = self.selected.as_ref()?;
        self.worktrees.iter().find(|worktree| worktree.id == *id)
    }

    /// Position of the selection among what is shown.
    pub(super) fn position(&self) -> Option<usize> {
        let id = self.selected.as_ref()?;
        self.shown().iter().position(|worktree| worktree.id == *id)
    }

    pub(super) fn select(&mut self, step: isize) {
        let shown = self.shown();
        let Some(last) = shown.len().checked_sub(1) else { return };
        let now = self.position().unwrap_or_default();
        let next = now.saturating_add_signed(step).min(last);
        self.selected = shown.get(next).map(|worktree| worktree.id.clone());
    }

    /// Something is always selected, as long as there is anything.
    pub(super) fn keep_selection(&mut self) {
        if self.position().is_none() {
            self.selected = self.shown().first().map(|worktree| worktree.id.clone());
        }
    }

    pub(super) fn rows(&self, now: Timestamp) -> Vec<Row> {
        self.shown().into_iter().map(|worktree| self.row(worktree, now)).collect()
    }

    fn row(&self, worktree: &Worktree, now: Timestamp) -> Row {
        let status = worktree.status.as_ref();
        let running = self.sessions_in(worktree);
        let mut note = Vec::new();
        if running > 0 {
            note.push(crate::style::count(running, "session"));
        }
        note.extend(Some(render::remark(worktree)).filter(|remark| !remark.is_empty()));
        let name = match self.all {
            true => format!("{}:{}", folder(&worktree.repo.root), one_line(&worktree.name)),
            false => one_line(&worktree.name),
        };
        Row {
            id: worktree.id.clone(),
            name,
            branch: worktree.branch.as_deref().map_or_else(|| "(detached)".to_owned(), one_line),
            owner: worktree.claim.as_ref().map_or_else(String::new, |claim| owner(&claim.agent_id)),
            holder: holder(worktree),
            changes: status.map_or_else(String::new, render::counts),
            trunk: status.map_or_else(String::new, render::arrows),
            activity: self.last_activity(worktree).map_or_else(String::new, |time| since(&time, now)),
            commit: worktree
                .last_commit
                .as_ref()
                .map_or_else(String::new, |commit| one_line(&commit.summary)),
            note: note.join("; "),
            conflicts: !worktree.conflicts_with.is_empty()
                || status.is_some_and(|status| status.conflicted > 0),
        }
    }

    /// The newest of its events, its last commit and its claim.
    fn last_activity(&self, worktree: &Worktree) -> Option<String> {
        let event = self.activity.get(&worktree.id);
        let commit = worktree.last_commit.as_ref().map(|commit| &commit.time);
        let claim = worktree.claim.as_ref().map(|claim| &claim.since);
        let parsed = |time: &&String| time.parse::<Timestamp>().ok();
        [event, commit, claim].into_iter().flatten().max_by_key(parsed).cloned()
    }

    fn sessions_in(&self, worktree: &Worktree) -> u64 {
        let here = |session: &&SessionInfo| session.worktree_path.as_deref() == Some(worktree.path.as_str());
        self.sessions.iter().filter(here).count() as u64
    }

    /// An event in one line: what, where, and the words that matter.
    pub(super) fn told(&self, event: &Event) -> (String, String) {
        let id = event.subject.as_deref().and_then(|subject| subject.split_once('/')).map(|(_, id)| id);
        let name = event.data["name"].as_str().map(one_line);
        let name = name.or_else(|| id.and_then(|id| self.names.get(id)).cloned());
        let name = name.or_else(|| id.map(|id| id.chars().take(8).collect())).unwrap_or_default();
        (one_line(&event.kind), format!("{name} {}", words(event)).trim_end().to_owned())
    }
}

fn words(event: &Event) -> String {
    let text = |key: &str| event.data[key].as_str().map(one_line);
    let by = |who: Option<String>| who.map_or_else(String::new, |who| format!("by {}", owner(&who)));
    match event.kind.as_str() {
        "worktree.commit" => {
            let id: String = text("to").unwrap_or_default().chars().take(8).collect();
            format!("{id} {}", text("summary").unwrap_or_default())
        }
        "worktree.changed" => serde_json::from_value(event.data["status"].clone())
            .map(|status| {
                format!("{} {}", render::counts(&status), render::arrows(&status)).trim().to_owned()
            })
            .ok()
            .filter(|counts| !counts.is_empty())
            .unwrap_or_else(|| "clean".to_owned()),
        _ => text("summary")
            .or_else(|| text("title"))
            .unwrap_or_else(|| by(text("agentId").or_else(|| text("by")))),
    }
}

fn holder(worktree: &Worktree) -> Holder {
    match &worktree.claim {
        None => Holder::Nobody,
        Some(claim) if is_person(&claim.agent_id) => Holder::Person(claim.alive),
        Some(claim) => Holder::Agent(claim.alive),
    }
}

fn is_person(agent_id: &str) -> bool {
    agent_id.starts_with("person:")
}

/// `person:ada@box` is shown as `ada`.
fn owner(agent_id: &str) -> String {
    let person = agent_id.strip_prefix("person:").and_then(|rest| rest.split('@').next());
    one_line(person.unwrap_or(agent_id))
}

fn folder(path: &str) -> String {
    one_line(path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(path))
}

fn since(time: &str, now: Timestamp) -> String {
    match ago(time, now).as_str() {
        "now" => "now".to_owned(),
        age => format!("{age} ago"),
    }
}

impl Holder {
    /// How the owner is told apart, also without colours.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Nobody => "",
            Self::Person(Alive::No) => "person, dead",
            Self::Person(Alive::Unknown) => "person, ?",
            Self::Person(Alive::Yes) => "person",
            Self::Agent(Alive::No) => "agent, dead",
            Self::Agent(Alive::Unknown) => "agent, ?",
            Self::Agent(Alive::Yes) => "agent",
        }
    }

    pub(super) const fn alive(self) -> Option<Alive> {
        match self {
            Self::Nobody => None,
            Self::Person(alive) | Self::Agent(alive) => Some(alive),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use podium_protocol::{ClaimInfo, CommitInfo, RepoRef, TreeStatus, WorktreeState};
    use serde_json::json;

    use super::*;

    pub(in super::super) fn now() -> Timestamp {
        "2026-01-02T12:00:00Z".parse().unwrap()
    }

    pub(in super::super) fn worktree(name: &str, claim: Option<(&str, Alive)>) -> Worktree {
        Worktree {
            id: format!("id-{name}"),
            repo: RepoRef { id: "r1".into(), root: "/code/app".into() },
            name: name.into(),
            path: format!("/code/app.worktrees/{name}"),
            path_bytes: None,
            branch: Some(name.into()),
            kind: "feat".into(),
            trunk: false,
            pr: None,
            claim: claim.map(|(agent_id, alive)| ClaimInfo {
                agent_id: agent_id.into(),
                host: "box".into(),
                pid: None,
                since: "2026-01-02T11:57:00Z".into(),
                token: 17,
                alive,
                session: None,
            }),
            status: Some(TreeStatus { staged: 1, modified: 2, ahead: 3, ..TreeStatus::default() }),
            last_commit: Some(CommitInfo {
                id: "c0ffee".into(),
                summary: "Count the sheep".into(),
                time: "2026-01-02T09:00:00Z".into(),
            }),
            conflicts_with: Vec::new(),
            state: WorktreeState::Ready,
        }
    }

    pub(in super::super) fn event(seq: u64, kind: &str, worktree: &str, data: serde_json::Value) -> Event {
        Event {
            specversion: "1.0".into(),
            seq,
            id: format!("e{seq}"),
            source: "podium://box".into(),
            kind: kind.into(),
            time: "2026-01-02T11:59:58Z".into(),
            subject: Some(format!("worktree/id-{worktree}")),
            data_version: 1,
            data,
            correlation_id: None,
            causation_id: None,
        }
    }

    pub(in super::super) fn model() -> Model {
        let mut model = Model::new(false);
        let mut conflicting = worktree("fix-b", Some(("person:ada@box", Alive::Unknown)));
        conflicting.conflicts_with.push("feat-a".into());
        let worktrees = vec![
            worktree("feat-a", Some(("claude-1", Alive::Yes))),
            conflicting,
            worktree("feat-free", None),
        ];
        model.show(Snapshot { worktrees, sessions: Vec::new(), head_seq: 0 });
        let commit = json!({ "name": "feat-a", "to": "0123456789", "summary": "Count them" });
        model.happened(event(1, "worktree.commit", "feat-a", commit));
        model
    }

    #[test]
    fn people_and_agents_are_told_apart_and_an_event_is_activity() {
        let rows = model().rows(now());
        assert_eq!((rows[0].owner.as_str(), rows[0].holder.word()), ("claude-1", "agent"));
        assert_eq!((rows[1].owner.as_str(), rows[1].holder.word()), ("ada", "person, ?"));
        assert_eq!(rows[0].activity, "2s ago");
        assert_eq!(rows[2].activity, "3h ago");
        assert!(rows[1].conflicts);
    }

    #[test]
    fn a_selection_stays_with_its_worktree_and_moves_on_when_that_goes() {
        let mut model = model();
        model.select(1);
        assert_eq!(model.selected().unwrap().name, "fix-b");
        let mut worktrees = model.worktrees.clone();
        worktrees.insert(0, worktree("aiops-new", None));
        model.show(Snapshot { worktrees, sessions: Vec::new(), head_seq: 0 });
        assert_eq!(model.position(), Some(2));
        model.worktrees.retain(|worktree| worktree.name != "fix-b");
        model.keep_selection();
        assert_eq!(model.position(), Some(0));
        model.select(-1);
        assert_eq!(model.position(), Some(0));
        model.select(100);
        assert_eq!(model.position(), Some(2));
    }

    #[test]
    fn a_filter_looks_at_names_and_owners() {
        let mut model = model();
        model.filter = "ADA".into();
        assert_eq!(model.shown().len(), 1);
        model.filter = "feat".into();
        assert_eq!(model.shown().len(), 2);
    }

    #[test]
    fn an_event_is_told_in_words() {
        let model = model();
        let (kind, text) = model.told(&model.feed[0]);
        assert_eq!((kind.as_str(), text.as_str()), ("worktree.commit", "feat-a 01234567 Count them"));
        let changed = json!({ "status": { "staged": 0, "modified": 0, "untracked": 0, "conflicted": 0, "ahead": 0, "behind": 0 } });
        assert_eq!(model.told(&event(2, "worktree.changed", "feat-a", changed)).1, "feat-a clean");
    }
}
