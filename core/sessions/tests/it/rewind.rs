//! Checkpoints with files, rewind, fork, diff, revert and export: a real repository, and a provider that does as the prompt
//! says.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use podium_git::{Git, GitEnv, Repo};
use podium_protocol::{
    ArtifactSearchParams, CheckpointKind, ErrorKind, ExportFormat, FileStatus, HunkState, ItemKind,
    ProviderInfo, SessionDiffParams, SessionEnd, SessionExportParams, SessionRevertParams, SessionStatus,
    WireError,
};
use podium_sessions::{
    Chunk, Env, Next, Provider, ProviderError, Rewind, SessionError, Snapshots, Start, StopAfter, Tree,
    Trees, Turn, TurnOutcome, WorktreeRef,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{Bed, assert_gapless, bed, follow};

/// `put PATH TEXT`, `rm PATH`, `commit MESSAGE`, `hold`; what it was told before is kept.
pub(crate) struct Hands {
    pub(crate) told: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Provider for Hands {
    fn name(&self) -> &'static str {
        "hands"
    }

    async fn info(&self, _env: &Env) -> ProviderInfo {
        ProviderInfo { name: "hands".into(), usable: true, why: String::new(), models: vec![] }
    }

    async fn answer(
        &self,
        turn: Turn,
        out: mpsc::Sender<Chunk>,
        stop: CancellationToken,
    ) -> Result<TurnOutcome, ProviderError> {
        let words: Vec<String> = turn.messages.iter().map(podium_sessions::Message::text).collect();
        self.told.lock().unwrap().push(words.join("|"));
        let tree = turn.worktree.clone().unwrap();
        for line in words.last().unwrap().lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "put" => {
                    let (path, text) = rest.split_once(' ').unwrap();
                    let path = tree.join(path);
                    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                    std::fs::write(path, text.replace("\\n", "\n")).unwrap();
                }
                "rm" => std::fs::remove_file(tree.join(rest)).unwrap(),
                "commit" => drop(git(&tree, &["add", "-A"]) + &git(&tree, &["commit", "-q", "-m", rest])),
                "fail" => return Err(ProviderError::Failed { reason: "as told".into() }),
                "hold" => {
                    stop.cancelled().await;
                    return Err(ProviderError::Stopped);
                }
                _ => {}
            }
        }
        let text = format!("did {}", words.last().unwrap().lines().next().unwrap());
        let _ = out.send(Chunk::Text { text, tokens: vec![] }).await;
        Ok(TurnOutcome::Complete)
    }
}

/// With a file of this name beside it nobody can say what became of a worktree.
pub(crate) const UNREACHABLE: &str = "unreachable";

/// The one worktree there is, and others that a test makes.
struct Known;

#[async_trait]
impl Trees for Known {
    async fn find(&self, worktree: &str) -> Result<Option<Tree>, WireError> {
        let path = PathBuf::from(worktree);
        let home = path.parent().unwrap().to_owned();
        if home.join(UNREACHABLE).exists() {
            return Err(WireError::unavailable("the repository cannot be opened"));
        }
        let Ok(repo) = Repo::discover(&Git::find(env(&home)).unwrap(), &path) else { return Ok(None) };
        let at = repo.here().unwrap().clone();
        Ok(Some(Tree { repo, at }))
    }
}

fn env(home: &Path) -> GitEnv {
    let path = std::env::var("PATH").unwrap();
    GitEnv::from_vars([
        ("PATH", path.as_str()),
        ("HOME", home.to_str().unwrap()),
        ("GIT_CONFIG_NOSYSTEM", "1"),
    ])
}

pub(crate) fn git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap())
        .env("HOME", folder.parent().unwrap())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"])
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// A repository with a worktree, and sessions that work in it.
pub(crate) struct Place {
    pub(crate) bed: Bed,
    pub(crate) tree: PathBuf,
    pub(crate) told: Arc<Mutex<Vec<String>>>,
}

pub(crate) const LINES: &str = "1\\n2\\n3\\n4\\n5\\n6\\n7\\n8\\n9\\n10\\n11\\n12\\n13\\n14\\n15\\n";

impl Place {
    pub(crate) fn new(dir: &Path) -> Self {
        let tree = dir.canonicalize().unwrap().join("tree");
        std::fs::create_dir(&tree).unwrap();
        git(&tree, &["init", "-q", "-b", "main"]);
        std::fs::write(tree.join("a.txt"), "old a\n").unwrap();
        std::fs::write(tree.join(".gitignore"), "ignored\n").unwrap();
        git(&tree, &["add", "-A"]);
        git(&tree, &["commit", "-q", "-m", "first"]);
        Self::open(dir, "a", None)
    }

    pub(crate) fn open(dir: &Path, instance: &str, stop: Option<StopAfter>) -> Self {
        let root = dir.canonicalize().unwrap();
        let told = Arc::<Mutex<Vec<String>>>::default();
        let bed = bed(&root.join("home"), instance, Arc::new(Hands { told: Arc::clone(&told) }));
        let mut snapshots = Snapshots::new(root.join("home/snapshots"), Arc::new(Known));
        if let Some(stop) = stop {
            snapshots = snapshots.stopping_after(stop);
        }
        bed.sessions.keep_snapshots(snapshots);
        Self { bed, tree: root.join("tree"), told }
    }

    fn worktree(&self, path: &Path) -> WorktreeRef {
        WorktreeRef {
            id: path.to_str().unwrap().to_owned(),
            repo: "r".into(),
            name: path.file_name().unwrap().to_str().unwrap().to_owned(),
            path: path.to_owned(),
        }
    }

    pub(crate) async fn start(&self, prompt: &str) -> (String, SessionEnd) {
        let start =
            Start { prompt: prompt.into(), worktree: Some(self.worktree(&self.tree)), ..Start::default() };
        let id = self.bed.sessions.start(start).await.unwrap().id;
        let (_, end) = follow(&self.bed.sessions, &id).await;
        (id, end)
    }

    pub(crate) async fn go_on(&self, id: &str, prompt: &str) -> SessionEnd {
        let next = Next { prompt: Some(prompt.into()), ..Next::default() };
        self.bed.sessions.go_on(id, next, Env::new()).await.unwrap();
        follow(&self.bed.sessions, id).await.1
    }

    pub(crate) async fn checkpoint(&self, id: &str, kind: CheckpointKind, turn: u64) -> String {
        let all = self.bed.sessions.checkpoints(Some(id)).await.unwrap().checkpoints;
        let found = all.iter().find(|c| c.kind == kind && c.turn == turn);
        found.unwrap_or_else(|| panic!("no {kind:?} of turn {turn} in {all:#?}")).id.clone()
    }

    pub(crate) async fn rewind(
        &self,
        id: &str,
        to: &str,
        commits: bool,
    ) -> Result<podium_protocol::SessionRewound, SessionError> {
        self.bed.sessions.rewind(Rewind { id: id.into(), to: to.into(), commits }).await
    }

    pub(crate) fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.tree.join(path)).ok()
    }

    async fn diff(&self, id: &str, turn: Option<u64>) -> podium_protocol::SessionDiff {
        let params = SessionDiffParams { id: Some(id.into()), turn, ..Default::default() };
        self.bed.sessions.diff(params, &Env::new()).await.unwrap()
    }

    async fn revert(&self, id: &str, path: &str, hunks: Option<Vec<u32>>) -> Result<Vec<String>, ErrorKind> {
        let params = SessionRevertParams { id: id.into(), path: path.into(), hunks, ..Default::default() };
        let reverted = self.bed.sessions.revert(params, &Env::new()).await;
        reverted.map(|reverted| reverted.files_changed).map_err(|error| WireError::from(error).kind)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_changed_and_the_diff_of_a_turn_are_right_whoever_changed_them() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(dir.path());
    // What lay there before is nobody's change.
    std::fs::write(place.tree.join("mine.txt"), "by a person\n").unwrap();
    let (id, end) =
        place.start("put a.txt new a\\n\nput sub/new.txt n\\n\nput ignored x\nput tmp t\nrm tmp").await;
    assert_eq!(end.files_changed, ["a.txt", "sub/new.txt"]);
    let end = place.go_on(&id, "put a.txt newer a\\n\ncommit work").await;
    assert_eq!(end.files_changed, ["a.txt"], "committed or not");
    assert_eq!(place.go_on(&id, "nothing").await.files_changed, Vec::<String>::new());
    assert_eq!(place.bed.sessions.files_changed(&id).await.unwrap(), Vec::<String>::new());

    let first = place.diff(&id, Some(1)).await;
    let names: Vec<(&str, FileStatus)> = first.files.iter().map(|f| (f.path.as_str(), f.status)).collect();
    assert_eq!(names, [("a.txt", FileStatus::Modified), ("sub/new.txt", FileStatus::Added)]);
    assert_eq!(first.files[0].hunks[0].lines, ["-old a", "+new a"]);
    let artifact = place.bed.artifacts.get(&first.artifact.unwrap()).await.unwrap();
    assert!(artifact.text.unwrap().contains("-old a\n+new a\n"));
    let all = place.diff(&id, None).await;
    assert_eq!(all.files[0].hunks[0].lines, ["-old a", "+newer a"]);
    let found =
        place.bed.artifacts.search(ArtifactSearchParams { query: "newer".into(), ..Default::default() });
    assert_eq!(found.await.unwrap()[0].session.as_ref(), Some(&id));
    let ended = place.bed.store.events(0, vec!["session.ended".into()], 9).await.unwrap().events;
    assert_eq!(ended[0].data["filesChanged"], serde_json::json!(["a.txt", "sub/new.txt"]));
    assert!(ended[0].data["diff"].is_string());
    let missing = SessionDiffParams { id: Some(id), turn: Some(9), ..Default::default() };
    let error = place.bed.sessions.diff(missing, &Env::new()).await.unwrap_err();
    assert_eq!(WireError::from(error).kind, ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_turn_has_its_changes_too() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(dir.path());
    let (id, end) = place.start("put a.txt half\\n\nfail").await;
    assert_eq!((end.status, end.files_changed), (SessionStatus::Failed, vec!["a.txt".to_owned()]));
    assert_eq!(place.diff(&id, Some(1)).await.files.len(), 1);
    let before = place.checkpoint(&id, CheckpointKind::TurnStart, 1).await;
    place.rewind(&id, &before, false).await.unwrap();
    assert_eq!(place.read("a.txt").unwrap(), "old a\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewind_takes_files_and_conversation_back_and_can_be_taken_back_itself() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(dir.path());
    let (id, _) = place.start("put a.txt one\\n\nput one.txt 1").await;
    place.go_on(&id, "put a.txt two\\n\nput two.txt 2\nrm one.txt").await;
    std::fs::write(place.tree.join("ignored"), "mine").unwrap();
    std::fs::write(place.tree.join("later.txt"), "by a person, after the turn\n").unwrap();
    let to = place.checkpoint(&id, CheckpointKind::TurnEnd, 1).await;
    let rewound = place.rewind(&id, &to[..13], false).await.unwrap();
    assert_eq!(rewound.files_changed, ["a.txt", "later.txt", "one.txt", "two.txt"]);
    assert_eq!((rewound.kept.len(), rewound.status), (0, SessionStatus::Completed));
    assert_eq!(place.read("a.txt").unwrap(), "one\n");
    assert_eq!((place.read("one.txt").as_deref(), place.read("two.txt")), (Some("1"), None));
    assert_eq!(place.read("ignored").unwrap(), "mine");

    // Items stay and go on; the model is told what counts.
    let end = place.go_on(&id, "put a.txt three\\n").await;
    assert_eq!(end.files_changed, ["a.txt"]);
    let told = place.told.lock().unwrap().last().unwrap().clone();
    assert_eq!(told, "put a.txt one\\n\nput one.txt 1|did put a.txt one\\n|put a.txt three\\n");
    let shown = place.bed.sessions.show(Some(&id), 0).await.unwrap();
    assert_gapless(&shown.items);
    let marker = shown.items.iter().find(|i| i.kind == ItemKind::Checkpoint && !i.text.is_empty()).unwrap();
    assert!(marker.text.starts_with("Taken back to behind item"), "{}", marker.text);

    // Back to before the rewind: everything, what a person had written too.
    place.rewind(&id, &rewound.undo, false).await.unwrap();
    assert_eq!(
        (place.read("a.txt").as_deref(), place.read("two.txt").as_deref()),
        (Some("two\n"), Some("2"))
    );
    assert_eq!(place.read("later.txt").unwrap(), "by a person, after the turn\n");
    assert_eq!(place.read("one.txt"), None);
    place.go_on(&id, "go on").await;
    let told = place.told.lock().unwrap().last().unwrap().clone();
    assert!(told.contains("two.txt") && !told.contains("three"), "{told}");
    let events = place.bed.store.events(0, vec!["session.rewound".into()], 9).await.unwrap().events;
    assert_eq!((events.len(), &events[0].data["undo"]), (2, &serde_json::json!(rewound.undo)));
    assert_eq!(git(&place.tree, &["for-each-ref", "--format=%(refname)"]), "refs/heads/main");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_beginning_can_be_gone_back_to_and_a_running_session_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(dir.path());
    let (id, _) = place.start("put a.txt one\\n").await;
    let start = place.checkpoint(&id, CheckpointKind::TurnStart, 1).await;
    let next = Next { prompt: Some("hold".into()), ..Next::default() };
    place.bed.sessions.go_on(&id, next, Env::new()).await.unwrap();
    assert!(matches!(place.rewind(&id, &start, false).await, Err(SessionError::Running(_))));
    // Another session in the same worktree is in the way as well.
    let (other, _) = {
        let start =
            Start { prompt: "x".into(), worktree: Some(place.worktree(&place.tree)), ..Start::default() };
        let id = place.bed.sessions.start(start).await.unwrap().id;
        (id.clone(), follow(&place.bed.sessions, &id).await)
    };
    let of_other = place.checkpoint(&other, CheckpointKind::TurnStart, 1).await;
    assert!(matches!(place.rewind(&other, &of_other, false).await, Err(SessionError::Running(_))));
    place.bed.sessions.cancel(&id).await.unwrap();
    assert_eq!(place.rewind(&id, &start, false).await.unwrap().seq, 0);
    assert_eq!(place.read("a.txt").unwrap(), "old a\n");
    place.go_on(&id, "anew").await;
    assert_eq!(place.told.lock().unwrap().last().unwrap(), "anew");
    let error = place.rewind(&id, "0192", false).await.unwrap_err();
    let error = WireError::from(error);
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.hints[0].contains("sessions checkpoints"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_stay_unless_they_are_to_go_back() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(dir.path());
    let first = git(&place.tree, &["rev-parse", "HEAD"]);
    let (id, _) = place.start("put a.txt one\\n\ncommit one").await;
    let second = git(&place.tree, &["rev-parse", "HEAD"]);
    let start = place.checkpoint(&id, CheckpointKind::TurnStart, 1).await;
    let rewound = place.rewind(&id, &start, false).await.unwrap();
    assert_eq!(
        (git(&place.tree, &["rev-parse", "HEAD"]), place.read("a.txt")),
        (second.clone(), Some("old a\n".into()))
    );
    assert!(rewound.notes[0].contains("--commits"), "{:?}", rewound.notes);
    assert_eq!(git(&place.tree, &["status", "--porcelain"]), " M a.txt");
    place.rewind(&id, &rewound.undo, false).await.unwrap();
    let rewound = place.rewind(&id, &start, true).await.unwrap();
    assert_eq!((git(&place.tree, &["rev-parse", "HEAD"]), rewound.notes), (first, vec![]));
    assert_eq!(git(&place.tree, &["status", "--porcelain"]), "");
    place.rewind(&id, &rewound.undo, true).await.unwrap();
    assert_eq!(git(&place.tree, &["rev-parse", "HEAD"]), second);
    assert_eq!(
        (git(&place.tree, &["status", "--porcelain"]), place.read("a.txt").unwrap()),
        (String::new(), "one\n".into())
    );
    git(&place.tree, &["checkout", "-q", "-b", "elsewhere"]);
    let error = place.rewind(&id, &start, true).await.unwrap_err();
    assert_eq!(WireError::from(error).kind, ErrorKind::Conflict);
    assert_eq!(place.read("a.txt").unwrap(), "one\n", "nothing changed");
    place.rewind(&id, &start, false).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_has_the_beginning_and_its_files_and_the_other_session_stays() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(dir.path());
    let (id, _) = place.start("put a.txt one\\n\nput one.txt 1").await;
    place.go_on(&id, "put a.txt two\\n\ncommit two").await;
    let at = place.checkpoint(&id, CheckpointKind::TurnEnd, 1).await;
    let before = place.bed.sessions.show(Some(&id), 0).await.unwrap();
    let plan = place.bed.sessions.plan_fork(&id, Some(&at), true).await.unwrap();
    let (_, base) = plan.base();
    let other = place.tree.with_file_name("fork");
    git(&place.tree, &["worktree", "add", "-q", "-b", "fork", other.to_str().unwrap(), &base.unwrap()]);
    place.bed.sessions.prepare_fork(&plan).await.unwrap();
    let forked = place.bed.sessions.fork(plan, Some("my-fork"), Some(place.worktree(&other))).await.unwrap();
    assert_eq!((forked.id.as_str(), forked.worktree.as_deref()), ("my-fork", Some("fork")));
    assert_eq!(std::fs::read_to_string(other.join("a.txt")).unwrap(), "one\n");
    assert_eq!(std::fs::read_to_string(other.join("one.txt")).unwrap(), "1");
    assert_eq!(place.read("a.txt").unwrap(), "two\n");
    assert_eq!(place.bed.sessions.show(Some(&id), 0).await.unwrap(), before);
    let shown = place.bed.sessions.show(Some("my-fork"), 0).await.unwrap();
    let last = usize::try_from(forked.last_seq).unwrap();
    assert_eq!(shown.items, before.items[..last]);
    assert_eq!(shown.session.usage, Default::default());
    place.go_on("my-fork", "put a.txt forked\\n").await;
    assert_eq!(std::fs::read_to_string(other.join("a.txt")).unwrap(), "forked\n");
    assert_eq!(place.told.lock().unwrap().last().unwrap().matches('|').count(), 2);
    // Its checkpoints are its own: also those from before the fork.
    let start = place.checkpoint("my-fork", CheckpointKind::TurnStart, 1).await;
    place.rewind("my-fork", &start, false).await.unwrap();
    assert_eq!(std::fs::read_to_string(other.join("a.txt")).unwrap(), "old a\n");
    assert_eq!(place.read("a.txt").unwrap(), "two\n");
    let events = place.bed.store.events(0, vec!["session.forked".into()], 9).await.unwrap().events;
    assert_eq!(events[0].data["from"], serde_json::json!(id));

    let plan = place.bed.sessions.plan_fork(&id, None, false).await.unwrap();
    let same = place.bed.sessions.fork(plan, None, None).await.unwrap();
    assert_eq!((same.worktree.as_deref(), same.last_seq), (Some("tree"), before.session.last_seq));
    let plan = place.bed.sessions.plan_fork(&id, None, false).await.unwrap();
    let taken = place.bed.sessions.fork(plan, Some("my-fork"), None).await.unwrap_err();
    assert!(matches!(taken, SessionError::Exists(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn hunks_are_taken_back_one_by_one_and_nothing_that_was_changed_since() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(dir.path());
    place.start(&format!("put text.txt {LINES}\ncommit lines")).await;
    let changed = LINES.replace("2\\n3\\n", "2\\nthree\\n").replace("13\\n", "thirteen\\n");
    let (id, _) = place.start(&format!("put text.txt {changed}\nput new.txt n\\n\nrm a.txt")).await;
    let states = |diff: &podium_protocol::SessionDiff| -> Vec<HunkState> {
        let file = diff.files.iter().find(|file| file.path == "text.txt").unwrap();
        file.hunks.iter().map(|hunk| hunk.state).collect()
    };
    assert_eq!(states(&place.diff(&id, None).await), [HunkState::There, HunkState::There]);
    assert_eq!(place.revert(&id, "text.txt", Some(vec![1])).await.unwrap(), ["text.txt"]);
    assert!(place.read("text.txt").unwrap().contains("\nthree\n4"));
    assert!(place.read("text.txt").unwrap().contains("\n13\n"));
    assert_eq!(states(&place.diff(&id, None).await), [HunkState::There, HunkState::Gone]);
    assert_eq!(place.revert(&id, "text.txt", Some(vec![1])).await.unwrap(), Vec::<String>::new());
    let text = place.read("text.txt").unwrap().replace("three", "3 and a half");
    std::fs::write(place.tree.join("text.txt"), &text).unwrap();
    assert_eq!(place.revert(&id, "text.txt", Some(vec![0])).await, Err(ErrorKind::Conflict));
    assert_eq!(place.read("text.txt").unwrap(), text);
    assert_eq!(states(&place.diff(&id, None).await), [HunkState::Changed, HunkState::Gone]);
    assert_eq!(place.revert(&id, "new.txt", None).await.unwrap(), ["new.txt"]);
    assert_eq!(place.revert(&id, "a.txt", None).await.unwrap(), ["a.txt"]);
    assert_eq!((place.read("new.txt"), place.read("a.txt").as_deref()), (None, Some("old a\n")));
    assert_eq!(place.revert(&id, "other.txt", None).await, Err(ErrorKind::NotFound));
    assert_eq!(place.revert(&id, "../outside", None).await, Err(ErrorKind::NotFound));
    assert_eq!(place.revert(&id, "text.txt", Some(vec![9])).await, Err(ErrorKind::NotFound));
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_in_no_diff_and_an_export_is_what_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(dir.path());
    std::fs::write(place.tree.join(".gitignore"), "").unwrap();
    std::fs::write(place.tree.join(".env"), "DB_PASSWORD=hunter2hunter2\n").unwrap();
    git(&place.tree, &["add", "-A"]);
    git(&place.tree, &["commit", "-q", "-m", "with a secret"]);
    let (id, _) =
        place.start("put conf.txt pw=hunter2hunter2\\n\nput .env DB_PASSWORD=hunter3hunter3\\n").await;
    std::fs::write(place.tree.join(".env"), "DB_PASSWORD=hunter2hunter2\n").unwrap();
    let diff = place.diff(&id, None).await;
    assert_eq!((diff.files[0].omitted.as_deref(), diff.files[0].hunks.len()), (Some("secret"), 0));
    assert!(diff.files[1].hunks[0].lines[0].starts_with("+pw=[redacted"), "{diff:#?}");
    let artifact = place.diff(&id, Some(1)).await.artifact.unwrap();
    let kept = place.bed.artifacts.get(&artifact).await.unwrap().text.unwrap();
    assert!(!kept.contains("hunter"), "{kept}");

    let export = |format| {
        let params = SessionExportParams { id: Some(id.clone()), format, from_seq: None };
        place.bed.sessions.export(params)
    };
    let markdown = export(ExportFormat::Markdown).await.unwrap();
    assert!(markdown.content.contains("## Answer\n\ndid put conf.txt"), "{}", markdown.content);
    assert_eq!((markdown.next, markdown.media_type.as_str()), (None, "text/markdown"));
    let json = export(ExportFormat::Json).await.unwrap().content;
    let read: serde_json::Value = serde_json::from_str(&json).unwrap();
    let shown = place.bed.sessions.show(Some(&id), 0).await.unwrap();
    assert_eq!(read["items"], serde_json::to_value(&shown.items).unwrap());
    let html = export(ExportFormat::Html).await.unwrap().content;
    assert!(html.starts_with("<!doctype html>") && html.contains("did put conf.txt"), "{html}");
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_go_with_their_days_and_the_transcript_stays() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(dir.path());
    let (id, _) = place.start("put a.txt one\\n").await;
    let folder = dir.path().join("home/snapshots").join(format!("{id}.git"));
    assert_eq!(place.bed.sessions.purge_snapshots(1).await.unwrap(), 0);
    assert!(folder.is_dir());
    assert_eq!(place.bed.sessions.purge_snapshots(-1).await.unwrap(), 1);
    assert!(!folder.exists());
    let all = place.bed.sessions.checkpoints(Some(&id)).await.unwrap().checkpoints;
    assert!(all.iter().all(|checkpoint| checkpoint.snapshot.is_none()));
    // The conversation can still go back, and the next turn begins anew.
    let start = place.checkpoint(&id, CheckpointKind::TurnStart, 1).await;
    let rewound = place.rewind(&id, &start, false).await.unwrap();
    assert!(rewound.notes[0].contains("holds no files"), "{:?}", rewound.notes);
    assert_eq!(place.read("a.txt").unwrap(), "one\n");
    assert_eq!(place.go_on(&id, "put a.txt two\\n").await.files_changed, ["a.txt"]);
}
