//! Sessions whose model calls tools: what is done, asked, shown and kept.

use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use podium_artifacts::Artifacts;
use podium_config::Live;
use podium_protocol::{
    InboxDecision, InboxItem, InboxScope, ItemKind, ProviderInfo, SessionItem, SessionStatus,
};
use podium_sessions::tools::{PermittedTools, ToolCall};
use podium_sessions::{
    Attachment, Chunk, Env, Inbox, Part, Provider, ProviderError, Sessions, Settings, Start, StopCause, Turn,
    TurnOutcome, Update, WorktreeRef,
};
use podium_store::{Options, Store};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::follow;

/// A model that makes the calls it was given, one in each step, and then ends.
struct Caller {
    calls: Vec<ToolCall>,
    /// What it was told by each result.
    told: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Provider for Caller {
    fn name(&self) -> &'static str {
        "caller"
    }

    fn takes_tools(&self) -> bool {
        true
    }

    async fn info(&self, _env: &Env) -> ProviderInfo {
        ProviderInfo { name: "caller".into(), usable: true, why: "as told".into(), models: vec![] }
    }

    async fn answer(
        &self,
        turn: Turn,
        out: mpsc::Sender<Chunk>,
        _stop: CancellationToken,
    ) -> Result<TurnOutcome, ProviderError> {
        let parts = turn.messages.iter().flat_map(|message| &message.parts);
        let told: Vec<String> = parts
            .filter_map(|part| match part {
                Part::ToolResult(result) => Some(result.text.clone()),
                _ => None,
            })
            .collect();
        let next = self.calls.get(told.len()).cloned();
        *self.told.lock().unwrap() = told;
        match next {
            Some(call) => {
                out.send(Chunk::ToolCall(call)).await.map_err(|_| ProviderError::Stopped)?;
                Ok(TurnOutcome::WantsTools)
            }
            None => Ok(TurnOutcome::Complete),
        }
    }
}

struct World {
    store: Store,
    sessions: Sessions,
    inbox: Inbox,
    told: Arc<Mutex<Vec<String>>>,
}

fn world(dir: &Path, instance: &str, calls: &[(&str, Value)]) -> World {
    std::fs::create_dir_all(dir.join("tree/src")).unwrap();
    let store = Store::open(&Options { path: dir.join("p.db") }).unwrap();
    let artifacts = Artifacts::open(store.clone(), &dir.join("a"), &dir.join("v")).unwrap();
    let config = Arc::new(Live::defaults());
    let call = |(at, (name, input)): (usize, &(&str, Value))| ToolCall {
        id: format!("c{at}"),
        name: (*name).to_owned(),
        input: input.clone(),
    };
    let told = Arc::default();
    let caller = Caller { calls: calls.iter().enumerate().map(call).collect(), told: Arc::clone(&told) };
    let settings = Settings {
        instance: instance.to_owned(),
        config: Arc::clone(&config),
        providers: vec![Arc::new(caller)],
        toolkit: Some(Arc::new(PermittedTools::new(store.clone(), config))),
        keys: podium_sessions::Keys::new(dir),
    };
    let sessions = Sessions::new(store.clone(), artifacts, settings);
    World { inbox: Inbox::new(store.clone()), store, sessions, told }
}

fn start(dir: &Path) -> Start {
    let worktree =
        WorktreeRef { id: "w1".into(), repo: "r1".into(), name: "feat-x".into(), path: dir.join("tree") };
    Start {
        id: Some("task-1".into()),
        prompt: "go".into(),
        agent_id: Some("claude-1".into()),
        worktree: Some(worktree),
        ..Start::default()
    }
}

fn of_kind(items: &[SessionItem], kind: ItemKind) -> Vec<&SessionItem> {
    items.iter().filter(|item| item.kind == kind).collect()
}

/// Follows until a person is waited for.
async fn asked(world: &World) -> InboxItem {
    let Attachment::Live(mut updates) = world.sessions.attach("task-1") else { panic!("it runs") };
    loop {
        if let Some(item) = world.inbox.list(false).await.unwrap().pop() {
            return item;
        }
        // Items and progress come around the question.
        let wait = tokio::time::timeout(std::time::Duration::from_millis(50), updates.recv());
        if let Ok(Ok(Update::End(end))) = wait.await {
            panic!("it ended without a question: {end:?}");
        }
    }
}

#[tokio::test]
async fn a_model_reads_and_edits_its_worktree_and_each_step_is_in_the_transcript() {
    let dir = tempfile::tempdir().unwrap();
    let world = world(
        dir.path(),
        "a",
        &[
            ("write_file", json!({"path": "src/a.rs", "content": "one\n"})),
            ("edit_file", json!({"path": "src/a.rs", "edits": [{"old": "one", "new": "two"}]})),
            ("read_file", json!({"path": "../../etc/passwd"})),
            ("nonsense", json!({})),
        ],
    );
    world.sessions.start(start(dir.path())).await.unwrap();
    let (items, end) = follow(&world.sessions, "task-1").await;
    assert_eq!(end.status, SessionStatus::Completed, "{end:?}");
    assert_eq!(std::fs::read_to_string(dir.path().join("tree/src/a.rs")).unwrap(), "two\n");
    assert_eq!(end.files_changed, ["src/a.rs"]);
    assert_eq!(of_kind(&items, ItemKind::ToolCall).len(), 4);
    let decided: Vec<(&str, &Value)> = of_kind(&items, ItemKind::Permission)
        .iter()
        .map(|item| (item.text.split(':').next().unwrap(), &item.data.as_ref().unwrap()["by"]))
        .collect();
    let (default, tree) = (json!("default"), json!("tree"));
    assert_eq!(decided, [("allowed", &default), ("allowed", &default), ("denied", &tree)]);
    let results = of_kind(&items, ItemKind::ToolResult);
    assert!(results[1].data.as_ref().unwrap()["diff"].as_str().unwrap().contains("-one\n+two\n"));
    assert!(results[2].text.contains("outside of the worktree"), "{}", results[2].text);
    assert!(results[3].text.contains("there is no tool `nonsense`"));
    assert_eq!(world.told.lock().unwrap().len(), 4);
    let denied = world.store.events(0, vec!["permission.denied".into()], 9).await.unwrap().events;
    assert_eq!(denied.len(), 1);
    assert!(world.inbox.list(true).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_question_of_an_interrupted_turn_is_found_again_and_not_asked_twice() {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str| ("write_file", json!({"path": path, "content": "x"}));
    let calls = [write("a"), write("b"), write("c")];
    // In nobody's name the worktree is not claimed.
    let beside = || Start { agent_id: None, ..start(dir.path()) };
    let question = {
        let world = world(dir.path(), "a", &calls);
        world.sessions.start(beside()).await.unwrap();
        let question = asked(&world).await;
        world.sessions.interrupt_all(StopCause::DaemonStopped).await;
        world.store.close();
        question
    };
    assert_eq!((question.question.as_str(), question.agent_id.as_str()), ("write a", "session:task-1"));
    let world = world(dir.path(), "b", &calls);
    world.sessions.recover().await.unwrap();
    let open = world.inbox.list(false).await.unwrap();
    assert_eq!(open.iter().map(|item| &item.id).collect::<Vec<_>>(), [&question.id]);
    world.sessions.resume("task-1", None, Env::new()).await.unwrap();
    assert_eq!(asked(&world).await.id, question.id);
    let answer =
        |id: String, scope| world.inbox.answer(id, InboxDecision::Allow, scope, "person:me@h".into());
    answer(question.id.clone(), InboxScope::Once).await.unwrap();
    let next = asked(&world).await;
    assert_eq!(next.question, "write b");
    answer(next.id, InboxScope::Session).await.unwrap();
    let (items, end) = follow(&world.sessions, "task-1").await;
    assert_eq!(end.status, SessionStatus::Completed, "{end:?}");
    crate::assert_gapless(&items);
    for path in ["a", "b", "c"] {
        assert!(dir.path().join("tree").join(path).exists(), "{path}");
    }
    let asked = world.store.events(0, vec!["inbox.asked".into()], 9).await.unwrap().events;
    assert_eq!(asked.len(), 2);
    let by: Vec<&Value> =
        of_kind(&items, ItemKind::Permission).iter().map(|item| &item.data.as_ref().unwrap()["by"]).collect();
    assert_eq!(by, [&json!("person"), &json!("person"), &json!("remembered")]);
}
