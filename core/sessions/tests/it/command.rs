use std::fs;
use std::time::Instant;

use podium_process::{ProcessState, runner, watch_exit};
use podium_protocol::{ItemKind, SessionEnd, SessionItem, SessionStatus, Usage};
use podium_sessions::{Start, StopCause};

use crate::agents::{SESSION, configure, folder, host, kill_daemons, pid_in, program_bed, within};
use crate::{ask, assert_gapless, follow, text};

async fn answer(dir: &std::path::Path, model: &str) -> (Vec<SessionItem>, SessionEnd) {
    let bed = program_bed(dir, "a");
    let start = Start { model: Some(model.to_owned()), ..ask("the prompt") };
    let id = bed.sessions.start(start).await.unwrap().id;
    let (items, end) = within(follow(&bed.sessions, &id)).await;
    assert_gapless(&items);
    (items, end)
}

/// Nothing of an agent stays once its turn is stored.
fn assert_swept(dir: &std::path::Path) {
    assert_eq!(runner::runs(&folder(dir)).unwrap(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn text_streams_and_the_prompt_comes_by_argument_or_input() {
    let dir = tempfile::tempdir().unwrap();
    configure(
        dir.path(),
        "by-argument",
        "text",
        "printf 'asked: %s; input: ' \"$1\"; cat; printf 'h\\303'; sleep 0.1; printf '\\244'",
    );
    let (items, end) = answer(dir.path(), "by-argument").await;
    assert_eq!(
        (text(&items).as_str(), end.status),
        ("asked: the prompt; input: hä", SessionStatus::Completed)
    );
    let script = dir.path().join("by-input.sh");
    fs::write(&script, "printf 'got %s' \"$(cat)\"").unwrap();
    crate::agents::configure_lines(dir.path(), &format!("by-input text /bin/sh {}\n", script.display()));
    let (items, _) = answer(dir.path(), "by-input").await;
    assert_eq!(text(&items), "got the prompt");
    assert_swept(dir.path());
}

#[tokio::test]
async fn lines_of_json_become_items_with_their_usage() {
    let dir = tempfile::tempdir().unwrap();
    let script = r#"
echo '{"type":"system","subtype":"init"}'
echo '{"type":"assistant","message":{"id":"m","content":[{"type":"text","text":"I look."}]}}'
echo '{"type":"assistant","message":{"id":"m","content":[{"type":"tool_use","id":"t","name":"Bash","input":{"command":"ls"}}]}}'
echo 'some noise'
echo '{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t","content":"a.rs"}]}}'
echo '{"type":"assistant","message":{"id":"n","content":[{"type":"text","text":"Done."}]}}'
echo '{"type":"result","is_error":false,"usage":{"input_tokens":12,"output_tokens":5},"total_cost_usd":0.25}'
"#;
    configure(dir.path(), "coder", "json", script);
    let (items, end) = answer(dir.path(), "coder").await;
    let told: Vec<(ItemKind, &str)> = items.iter().map(|item| (item.kind, item.text.as_str())).collect();
    let at = told.iter().position(|(kind, _)| *kind == ItemKind::ToolCall).unwrap();
    assert_eq!(told[at], (ItemKind::ToolCall, "Bash"));
    assert_eq!(told[at + 1], (ItemKind::ToolResult, "a.rs"));
    assert_eq!(items[at].data.as_ref().unwrap()["input"]["command"], "ls");
    assert_eq!(text(&items), "I look.\n\nDone.");
    assert_eq!(end.usage, Usage { input_tokens: 12, output_tokens: 5, cost_usd: Some(0.25) });
    assert_eq!(end.status, SessionStatus::Completed);
}

#[tokio::test]
async fn daemons_that_are_killed_lose_and_double_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let script =
        "i=0; while [ $i -lt 400 ]; do echo \"line $i of ä€𝄞\"; i=$((i + 1)); sleep 0.01; done; echo end";
    configure(dir.path(), "talker", "text", script);
    let kills = kill_daemons(dir.path(), 400).await;
    let expected: String = (0..400).map(|n| format!("line {n} of ä€𝄞\n")).collect::<String>() + "end\n";
    let bed = program_bed(dir.path(), "reader");
    let items = bed.sessions.items(SESSION, 0).await.unwrap();
    let mut all = items.0;
    while let (more, true) = bed.sessions.items(SESSION, all.last().unwrap().seq).await.unwrap() {
        all.extend(more);
    }
    let rest = bed.sessions.items(SESSION, all.last().unwrap().seq).await.unwrap().0;
    all.extend(rest);
    assert_gapless(&all);
    assert_eq!(text(&all), expected);
    println!("{kills} daemons were killed; 0 of {} bytes lost, 0 doubled", expected.len());
    assert!(kills >= 5, "only {kills} kills fell into the run");
    assert_swept(dir.path());
}

#[tokio::test]
async fn an_agent_lives_on_while_the_daemon_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!(
        "cd {}; echo $$ >pid; echo begun; while [ ! -e go ]; do sleep 0.02; done; echo over",
        dir.path().display()
    );
    configure(dir.path(), "waiter", "text", &script);
    let first = program_bed(dir.path(), "a");
    let id = first.sessions.start(ask("go")).await.unwrap().id;
    let agent = pid_in(&dir.path().join("pid")).await;
    first.sessions.interrupt_all(StopCause::DaemonReplaced).await;
    assert_eq!(first.sessions.info(&id).await.unwrap().status, SessionStatus::Interrupted);
    assert_eq!(agent.state(), ProcessState::Alive);
    fs::write(dir.path().join("go"), "").unwrap();
    within(watch_exit(&agent)).await.unwrap();
    let second = program_bed(dir.path(), "b");
    second.sessions.resume(&id, None, Default::default()).await.unwrap();
    let (items, end) = within(follow(&second.sessions, &id)).await;
    assert_gapless(&items);
    assert_eq!((text(&items).as_str(), end.status), ("begun\nover\n", SessionStatus::Completed));
}

#[tokio::test]
async fn a_cancelled_turn_ends_its_agent_and_all_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!(
        "cd {}; trap '' TERM; (setsid sh -c 'trap \"\" TERM; echo $$ >stray; while :; do sleep 1; done' &); echo $$ >pid; \
         while :; do echo flood; done",
        dir.path().display()
    );
    configure(dir.path(), "stubborn", "text", &script);
    let bed = program_bed(dir.path(), "a");
    let id = bed.sessions.start(ask("go")).await.unwrap().id;
    let (agent, stray) = (pid_in(&dir.path().join("pid")).await, pid_in(&dir.path().join("stray")).await);
    let asked = Instant::now();
    let (_, status) = within(bed.sessions.cancel(&id)).await.unwrap();
    println!("cancelled within {} ms", asked.elapsed().as_millis());
    assert_eq!(status, SessionStatus::Cancelled);
    assert_eq!((agent.state(), stray.state()), (ProcessState::Dead, ProcessState::Dead));
}

#[tokio::test]
async fn an_agent_that_fails_says_why_without_its_secrets() {
    let dir = tempfile::tempdir().unwrap();
    configure(dir.path(), "broken", "text", "echo some; echo \"key $API_KEY is bad\" >&2; exit 3");
    let bed = program_bed(dir.path(), "a");
    let env = [("API_KEY".to_owned(), "hunter2-hunter2-hunter2".to_owned())].into();
    let id = bed.sessions.start(Start { env, ..ask("go") }).await.unwrap().id;
    let (items, end) = within(follow(&bed.sessions, &id)).await;
    let reason = end.reason.unwrap();
    assert_eq!((text(&items).as_str(), end.status), ("some\n", SessionStatus::Failed));
    assert!(
        reason.starts_with("broken failed (exit code 3): key ") && !reason.contains("hunter2"),
        "{reason}"
    );
}

#[tokio::test]
async fn an_agent_that_dies_again_and_again_is_parked_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!("echo x >>{}/starts; kill -9 $$", dir.path().display());
    configure(dir.path(), "dying", "text", &script);
    let (_, end) = answer(dir.path(), "dying").await;
    assert_eq!(end.status, SessionStatus::Parked);
    let reason = end.reason.unwrap();
    assert!(reason.starts_with("dying ended by signal 9 four times within a minute"), "{reason}");
    assert_eq!(fs::read_to_string(dir.path().join("starts")).unwrap(), "x\n".repeat(4));
    assert_swept(dir.path());
}

#[tokio::test]
async fn a_cut_off_answer_is_kept_and_marked_and_the_turn_is_offered_again() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!(
        "cd {}; if [ -e once ]; then echo whole; else touch once; echo half; sleep 0.3; kill -9 $$; fi",
        dir.path().display()
    );
    configure(dir.path(), "mortal", "text", &script);
    let bed = program_bed(dir.path(), "a");
    let id = bed.sessions.start(ask("go")).await.unwrap().id;
    let (items, end) = within(follow(&bed.sessions, &id)).await;
    let cut = "half\n\n\n[mortal ended by signal 9 here; the answer is cut off.]\n\n";
    assert_eq!((text(&items).as_str(), end.status), (cut, SessionStatus::Parked));
    bed.sessions.resume(&id, None, Default::default()).await.unwrap();
    let (items, end) = within(follow(&bed.sessions, &id)).await;
    assert_gapless(&items);
    assert_eq!((text(&items), end.status), (format!("{cut}whole\n"), SessionStatus::Completed));
}

#[tokio::test]
async fn a_missing_program_parks_the_session_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    crate::agents::configure_lines(dir.path(), "ghost text no-such-agent --flag\n");
    let (_, end) = answer(dir.path(), "ghost").await;
    assert_eq!(end.status, SessionStatus::Parked);
    let reason = end.reason.unwrap();
    assert!(reason.contains("ghost cannot be started") && reason.contains("no-such-agent"), "{reason}");
}

#[tokio::test]
async fn a_session_that_is_cancelled_while_nobody_follows_its_agent_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!("cd {}; echo $$ >pid; exec sleep 1000", dir.path().display());
    configure(dir.path(), "sleeper", "text", &script);
    let bed = program_bed(dir.path(), "a");
    let id = bed.sessions.start(ask("go")).await.unwrap().id;
    let agent = pid_in(&dir.path().join("pid")).await;
    bed.sessions.interrupt_all(StopCause::DaemonReplaced).await;
    assert_eq!((agent.state(), host(dir.path()).sessions()), (ProcessState::Alive, vec![id.clone()]));
    within(bed.sessions.cancel(&id)).await.unwrap();
    assert_eq!(agent.state(), ProcessState::Dead);
    assert_swept(dir.path());
}
