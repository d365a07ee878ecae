use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use podium_harness::ToolPaths;
use podium_protocol::{InboxDecision, InboxScope, ItemKind, SessionItem, SessionStatus};
use podium_sessions::acp::{Acp, Gate};
use podium_sessions::permission::Permissions;
use podium_sessions::{Inbox, Start, StopCause, WorktreeRef};
use podium_store::{Options, Store};

use crate::agents::{bed_of, config, configure_lines, host, within};
use crate::{Bed, ask, assert_gapless, follow, text};

/// The agent built on the official SDK.
fn configure(dir: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/acp_agent.py");
    let sdk = ToolPaths::load().get("acp_sdk");
    fs::create_dir_all(dir.join("of-agent")).unwrap();
    let line = format!(
        "scripted acp /usr/bin/env PYTHONPATH={} ACP_TEST_FOLDER={} python3 {}\n",
        sdk.display(),
        dir.join("of-agent").display(),
        script.display()
    );
    configure_lines(dir, &line);
    // What it has us run is asked about like the commands of a model.
    let file = dir.join("config.toml");
    let agents = fs::read_to_string(&file).unwrap();
    let rule = "permission = [{ tool = \"run_command\", command = \"wc *\", decision = \"allow\" }]\n";
    fs::write(file, rule.to_owned() + &agents).unwrap();
}

pub(crate) fn bed(dir: &Path, instance: &str) -> Bed {
    let config = config(dir);
    let store = Store::open(&Options { path: dir.join("p.db") }).unwrap();
    let gate = Gate::new(store.clone(), Permissions::new(store.clone(), Arc::clone(&config)));
    bed_of(dir, instance, store, Arc::new(Acp::new(host(dir), Arc::clone(&config), gate)), config)
}

fn of_kind(items: &[SessionItem], kind: ItemKind) -> Vec<&SessionItem> {
    items.iter().filter(|item| item.kind == kind).collect()
}

fn starts(dir: &Path) -> usize {
    fs::read_to_string(dir.join("of-agent/starts")).unwrap_or_default().lines().count()
}

#[tokio::test]
async fn a_turn_streams_and_the_next_one_loads_the_session_without_telling_it_again() {
    let dir = tempfile::tempdir().unwrap();
    configure(dir.path());
    let bed = bed(dir.path(), "a");
    let id = bed.sessions.start(ask("count 20")).await.unwrap().id;
    let (items, end) = within(follow(&bed.sessions, &id)).await;
    let counted: String = (0..20).map(|n| format!("{n} ä€𝄞\n")).collect();
    assert_eq!((text(&items), end.status, end.reason), (counted.clone(), SessionStatus::Completed, None));
    bed.sessions.resume(&id, Some("recall"), Default::default()).await.unwrap();
    let (items, end) = within(follow(&bed.sessions, &id)).await;
    assert_gapless(&items);
    assert_eq!(end.status, SessionStatus::Completed);
    assert_eq!(text(&items), format!("{counted}I remember 22"));
    assert_eq!(host(dir.path()).sessions(), Vec::<String>::new());
}

#[tokio::test]
async fn an_agent_works_in_its_worktree_and_asks_first() {
    for (decision, expected) in [(InboxDecision::Allow, "one\nmore\n"), (InboxDecision::Deny, "one\n")] {
        let dir = tempfile::tempdir().unwrap();
        configure(dir.path());
        let tree = dir.path().join("tree");
        fs::create_dir(&tree).unwrap();
        fs::write(tree.join("a.txt"), "one\n").unwrap();
        let bed = bed(dir.path(), "a");
        let worktree =
            WorktreeRef { id: "w".into(), repo: "r".into(), name: "tree".into(), path: tree.clone() };
        let prompt = format!("work {}", tree.join("a.txt").display());
        let start = Start { worktree: Some(worktree), ..ask(&prompt) };
        let id = bed.sessions.start(start).await.unwrap().id;
        answer_first_question(&bed.store, decision).await;
        let (items, end) = within(follow(&bed.sessions, &id)).await;
        assert_gapless(&items);
        assert_eq!((end.status, end.reason), (SessionStatus::Completed, None));
        assert_eq!(fs::read_to_string(tree.join("a.txt")).unwrap(), expected);
        let lines = expected.lines().count();
        let said = text(&items);
        assert!(said.starts_with(&format!("0 {lines} a.txt | ")) && !said.contains("escaped"), "{said}");
        let kinds: Vec<ItemKind> = items.iter().map(|item| item.kind).collect();
        let at = |kind| kinds.iter().position(|it| *it == kind).unwrap();
        assert!(
            at(ItemKind::Thinking) < at(ItemKind::ToolCall)
                && at(ItemKind::ToolCall) < at(ItemKind::Permission)
        );
        assert_eq!(of_kind(&items, ItemKind::ToolCall).len(), 1);
        let option = if decision == InboxDecision::Allow { "yes" } else { "no" };
        assert_eq!(of_kind(&items, ItemKind::ToolResult)[0].text, format!("chose {option}"));
    }
}

async fn answer_first_question(store: &Store, decision: InboxDecision) {
    let question = answer(store, decision).await;
    assert!(question.starts_with("Edit a file"), "{question}");
}

/// Answers the question that comes first, and tells what it was.
async fn answer(store: &Store, decision: InboxDecision) -> String {
    let inbox = Inbox::new(store.clone());
    let mut head = store.watch_head();
    let question = within(async {
        loop {
            head.borrow_and_update();
            if let Some(question) = inbox.list(false).await.unwrap().pop() {
                return question;
            }
            head.changed().await.unwrap();
        }
    })
    .await;
    inbox.answer(question.id, decision, InboxScope::Once, "somebody".to_owned()).await.unwrap();
    question.question
        + question.detail.as_deref().map(|detail| format!(": {detail}")).as_deref().unwrap_or("")
}

/// A worktree of nobody, with one file.
fn in_tree(dir: &Path, prompt: &str) -> (PathBuf, Start) {
    let tree = dir.join("tree");
    fs::create_dir(&tree).unwrap();
    let file = tree.join("a.txt");
    fs::write(&file, "one\n").unwrap();
    let worktree = WorktreeRef { id: "w".into(), repo: "r".into(), name: "tree".into(), path: tree };
    (file, Start { worktree: Some(worktree), ..ask(prompt) })
}

#[tokio::test]
async fn who_may_read_a_file_is_asked_before_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    configure(dir.path());
    let (file, start) = in_tree(dir.path(), &format!("creep {}", dir.path().join("tree/a.txt").display()));
    let bed = bed(dir.path(), "a");
    let id = bed.sessions.start(start).await.unwrap().id;
    let question = within(answer(&bed.store, InboxDecision::Deny)).await;
    assert!(question.starts_with("write "), "{question}");
    let (items, _) = within(follow(&bed.sessions, &id)).await;
    assert_eq!(text(&items), "yes refused");
    assert_eq!(fs::read_to_string(file).unwrap(), "one\n");
}

#[tokio::test]
async fn paths_that_lead_nowhere_make_nothing_of_the_others_allowed() {
    let dir = tempfile::tempdir().unwrap();
    configure(dir.path());
    let (_, start) = in_tree(dir.path(), &format!("mixed {}", dir.path().join("tree/a.txt").display()));
    let bed = bed(dir.path(), "a");
    let id = bed.sessions.start(start).await.unwrap().id;
    let (items, end) = within(follow(&bed.sessions, &id)).await;
    assert_eq!((text(&items).as_str(), end.reason), ("yes no no no ", None));
}

#[tokio::test]
async fn variables_of_a_command_are_part_of_what_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    configure(dir.path());
    let (_, start) = in_tree(dir.path(), "variables");
    let bed = bed(dir.path(), "a");
    let id = bed.sessions.start(start).await.unwrap().id;
    let question = within(answer(&bed.store, InboxDecision::Deny)).await;
    assert_eq!(question, "run `wc -l a.txt` with LANG set: LANG='a b' wc -l a.txt");
    let (items, end) = within(follow(&bed.sessions, &id)).await;
    assert_eq!((text(&items).as_str(), end.reason), ("0 refused refused refused ", None));
}

#[tokio::test]
async fn the_folder_of_a_command_is_part_of_what_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    configure(dir.path());
    let sub = dir.path().join("tree/sub");
    let (_, start) = in_tree(dir.path(), &format!("elsewhere {} pwd", sub.display()));
    fs::create_dir(&sub).unwrap();
    let bed = bed(dir.path(), "a");
    let id = bed.sessions.start(start).await.unwrap().id;
    let question = within(answer(&bed.store, InboxDecision::Allow)).await;
    assert_eq!(question, "run `pwd` in sub: pwd\nin the folder sub");
    let (items, end) = within(follow(&bed.sessions, &id)).await;
    let expected = format!("{}\n", sub.canonicalize().unwrap().display());
    assert_eq!((text(&items), end.reason), (expected, None));
}

#[tokio::test]
async fn a_question_is_still_answered_after_the_daemon_was_replaced() {
    let dir = tempfile::tempdir().unwrap();
    configure(dir.path());
    let tree = dir.path().join("tree");
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("a.txt"), "one\n").unwrap();
    let first = bed(dir.path(), "a");
    let worktree = WorktreeRef { id: "w".into(), repo: "r".into(), name: "tree".into(), path: tree.clone() };
    let prompt = format!("work {}", tree.join("a.txt").display());
    let start = Start { worktree: Some(worktree), ..ask(&prompt) };
    let id = first.sessions.start(start).await.unwrap().id;
    let inbox = Inbox::new(first.store.clone());
    let mut head = first.store.watch_head();
    within(async {
        while inbox.list(false).await.unwrap().is_empty() {
            head.changed().await.unwrap();
        }
    })
    .await;
    first.sessions.interrupt_all(StopCause::DaemonReplaced).await;
    answer_first_question(&first.store, InboxDecision::Allow).await;
    let second = bed(dir.path(), "b");
    second.sessions.resume(&id, None, Default::default()).await.unwrap();
    let (items, end) = within(follow(&second.sessions, &id)).await;
    assert_gapless(&items);
    assert_eq!(end.status, SessionStatus::Completed);
    assert_eq!(fs::read_to_string(tree.join("a.txt")).unwrap(), "one\nmore\n");
    assert_eq!((starts(dir.path()), of_kind(&items, ItemKind::Permission).len()), (1, 1));
    assert_eq!(inbox.list(true).await.unwrap().len(), 1, "asked once");
}

#[tokio::test]
async fn cancelling_asks_the_agent_and_does_not_wait_for_one_that_does_not_listen() {
    for (prompt, said) in [("wait", "waiting\n"), ("stubborn", "not listening\n")] {
        let dir = tempfile::tempdir().unwrap();
        configure(dir.path());
        let bed = bed(dir.path(), "a");
        let id = bed.sessions.start(ask(prompt)).await.unwrap().id;
        let mut head = bed.store.watch_head();
        within(async {
            while text(&bed.sessions.items(&id, 0).await.unwrap().0) != said {
                tokio::select! {
                    _ = head.changed() => {}
                    // tidy-allow(sleep): items are no events
                    () = tokio::time::sleep(std::time::Duration::from_millis(10)) => {}
                }
            }
        })
        .await;
        let asked = Instant::now();
        let (_, status) = within(bed.sessions.cancel(&id)).await.unwrap();
        println!("{prompt}: cancelled within {} ms", asked.elapsed().as_millis());
        assert_eq!(status, SessionStatus::Cancelled);
    }
}

#[tokio::test]
async fn an_agent_that_fails_or_dies_says_so() {
    let dir = tempfile::tempdir().unwrap();
    configure(dir.path());
    let bed = bed(dir.path(), "a");
    let env: podium_sessions::Env = [("API_KEY".to_owned(), "hunter2-hunter2-hunter2".to_owned())].into();
    let id = bed.sessions.start(Start { env, ..ask("fail") }).await.unwrap().id;
    let (_, end) = within(follow(&bed.sessions, &id)).await;
    let reason = end.reason.unwrap();
    assert_eq!(end.status, SessionStatus::Failed);
    assert!(reason.starts_with("scripted failed: ") && reason.contains("no luck with"), "{reason}");
    assert!(!reason.contains("hunter2"), "{reason}");

    let before = starts(dir.path());
    let id = bed.sessions.start(ask("die")).await.unwrap().id;
    let (_, end) = within(follow(&bed.sessions, &id)).await;
    assert_eq!(end.status, SessionStatus::Parked);
    let reason = end.reason.unwrap();
    assert!(reason.contains("ended by signal 9 four times within a minute"), "{reason}");
    assert!(reason.contains("words on stderr"), "{reason}");
    assert_eq!(starts(dir.path()) - before, 4);
}

/// What stands in for an agent here is wrong in one way each.
#[tokio::test]
async fn agents_that_are_none_get_clear_errors() {
    let initialized = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":1}}"#;
    for (script, status, expected) in [
        (
            "echo 'bad option' >&2; exit 2".to_owned(),
            SessionStatus::Failed,
            "odd ended before it was ready (exit code 2). bad option",
        ),
        (
            "yes garbage".to_owned(),
            SessionStatus::Failed,
            "odd failed: what it writes is not the Agent Client Protocol",
        ),
        (
            r#"echo '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":9}}'; cat >/dev/null"#.to_owned(),
            SessionStatus::Failed,
            "odd failed: it speaks protocol version 9 only",
        ),
        (
            // Answers to what was not asked come first, and one comes twice.
            format!(
                r#"echo '{{"jsonrpc":"2.0","id":3,"result":{{"stopReason":"end_turn"}}}}'; echo '{initialized}'; echo '{initialized}'
                   read a; read b
                   echo '{{"jsonrpc":"2.0","id":2,"error":{{"code":-32000,"message":"log in first"}}}}'; cat >/dev/null"#
            ),
            SessionStatus::Parked,
            "odd: it wants to be signed in to first: log in first",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let file: PathBuf = dir.path().join("odd.sh");
        fs::write(&file, script).unwrap();
        configure_lines(dir.path(), &format!("odd acp /bin/sh {}\n", file.display()));
        let bed = bed(dir.path(), "a");
        let id = bed.sessions.start(ask("go")).await.unwrap().id;
        let (_, end) = within(follow(&bed.sessions, &id)).await;
        assert_eq!((end.status, end.reason.as_deref()), (status, Some(expected)));
    }
}
