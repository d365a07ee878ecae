//! `run_command` and `commit` as a model calls them, in real sandboxes.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use podium_process::sandbox::Mechanism;
use podium_secrets::Redactor;
use podium_sessions::tools::{Ran, ToolCall, ToolContext, run};
use serde_json::{Value, json};

use crate::confinement::{Place, mechanisms};

fn context(place: &Place, mechanism: Mechanism) -> ToolContext {
    let redactor = Arc::new(Redactor::for_session(&Default::default(), Some(&place.at.path)));
    let mut ctx = ToolContext::new(place.at.path.clone(), "s1".to_owned(), redactor);
    ctx.workplace = Ok(Arc::new(place.open(mechanism)));
    ctx
}

async fn call(ctx: &ToolContext, name: &str, input: Value) -> Ran {
    run(&ToolCall { id: "c1".to_owned(), name: name.to_owned(), input }, ctx).await
}

fn data(run: &Ran, key: &str) -> Value {
    run.result.data.as_ref().unwrap()[key].clone()
}

#[tokio::test]
async fn a_command_tells_what_it_said_and_how_it_ended() {
    for mechanism in mechanisms() {
        let place = Place::new();
        let ctx = context(&place, mechanism);
        let script = "echo one; echo two >&2; echo three; cat $0 </dev/stdin; pwd; exit 3";
        let done = call(&ctx, "run_command", json!({ "command": script, "folder": "dir" })).await;
        let text = &done.result.text;
        let tree = place.at.path.join("dir");
        assert!(text.starts_with("one\ntwo\nthree\n") && text.contains(&*tree.to_string_lossy()), "{text}");
        assert!(text.contains("[exit code 3, "), "{text}");
        assert!(done.result.is_error && data(&done, "exitCode") == 3, "{mechanism}");
        // A secret that a command finds by another way is not shown.
        let done = call(&ctx, "run_command", json!({ "command": "echo the PASSWORD is hunter2" })).await;
        assert!(!done.result.text.contains("hunter2") && !done.result.is_error, "{}", done.result.text);
        let done = call(&ctx, "run_command", json!({ "command": "true", "folder": "../sibling" })).await;
        assert!(done.result.is_error && done.result.text.contains("outside"), "{}", done.result.text);
        let done = call(&ctx, "run_command", json!({ "command": "sleep 1000", "timeout_seconds": 1 })).await;
        assert!(done.result.is_error && data(&done, "timedOut") == true, "{}", done.result.text);
    }
}

#[tokio::test]
async fn a_flood_is_shown_in_part_kept_in_part_and_counted() {
    for mechanism in mechanisms() {
        let place = Place::new();
        let ctx = context(&place, mechanism);
        let script = "echo begins; head -c 1000000000 /dev/zero | tr '\\0' x; echo; echo ends";
        let done = call(&ctx, "run_command", json!({ "command": script })).await;
        let text = &done.result.text;
        assert!(
            text.len() < 64 * 1024 && text.starts_with("begins\n") && text.contains("ends\n["),
            "{mechanism}"
        );
        let kept = done.overflow.unwrap();
        assert!(kept.len() > text.len() && kept.len() < 20_000_000, "{}", kept.len());
        let left_out = done.result.data.unwrap()["leftOutBytes"].as_u64().unwrap();
        assert!(left_out > 980_000_000, "{left_out}");
    }
}

/// Forks, ignores every polite signal, moves to sessions of its own and floods.
const STUBBORN: &str = r#"
    trap '' TERM INT HUP
    for n in 1 2 3 4 5; do
        setsid bash -c 'trap "" TERM INT HUP; while :; do sleep 0.05; echo beat >>dir/beats; done' &
    done
    echo ready >dir/ready
    while :; do echo flood; done
"#;

#[tokio::test]
async fn a_command_that_forks_ignores_signals_and_floods_is_gone_soon_after_it_is_stopped() {
    for mechanism in mechanisms() {
        let place = Place::new();
        let ctx = context(&place, mechanism);
        let stop = ctx.stop.clone();
        let (ready, beats) = (place.at.path.join("dir/ready"), place.at.path.join("dir/beats"));
        let stopped = async {
            while !ready.exists() || size(&beats) < 100 {
                // tidy-allow(sleep): a bounded poll of a file
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            stop.cancel();
            Instant::now()
        };
        let (done, since) = tokio::join!(call(&ctx, "run_command", json!({ "command": STUBBORN })), stopped);
        let took = since.elapsed();
        assert!(done.result.is_error && done.result.text.contains("stopped"), "{}", done.result.text);
        assert!(took <= Duration::from_secs(2), "{mechanism}: {took:?}");
        // Nobody beats any more.
        let (before, watched) = (size(&beats), Instant::now());
        while watched.elapsed() < Duration::from_millis(500) {
            assert_eq!(size(&beats), before, "{mechanism}: something lives on");
            // tidy-allow(sleep): that nothing happens is told by nobody
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |data| data.len())
}

#[tokio::test]
async fn commits_reach_the_branch_whoever_makes_them() {
    for mechanism in mechanisms() {
        let place = Place::new();
        let ctx = context(&place, mechanism);
        let before = place.branch("work");
        fs::write(place.at.path.join("file"), "by a tool\n").unwrap();
        fs::write(place.at.path.join("dir/new"), "new\n").unwrap();
        fs::write(place.at.path.join("dir/later"), "later\n").unwrap();
        let message = "Say what changed\n\nAnd why.";
        let paths = json!(["file", "dir/new"]);
        let done = call(&ctx, "commit", json!({ "message": message, "paths": paths })).await;
        assert!(!done.result.is_error, "{mechanism}: {}", done.result.text);
        assert_eq!(data(&done, "parent"), before.as_str());
        assert_eq!(data(&done, "commit"), place.branch("work").as_str());
        let info = place.repo.commit(&place.branch("work")).unwrap();
        assert_eq!(info.summary, "Say what changed");
        let files = place.repo.changed_files(&before, &place.branch("work")).unwrap();
        let names: Vec<_> = files.iter().map(|file| file.path.to_string_lossy().into_owned()).collect();
        assert_eq!(names, ["dir/new", "file"], "{mechanism}");

        let amended = call(&ctx, "commit", json!({ "message": "Say it better", "amend": true })).await;
        assert!(!amended.result.is_error, "{mechanism}: {}", amended.result.text);
        assert_eq!(place.repo.ahead_behind(&place.branch("work"), &before).unwrap().ahead, 1);
        let done = call(&ctx, "commit", json!({ "message": "nothing" })).await;
        assert!(
            done.result.is_error && done.result.text.contains("nothing to commit"),
            "{}",
            done.result.text
        );

        let script = "git commit -q --allow-empty -m 'by a command'";
        let done = call(&ctx, "run_command", json!({ "command": script })).await;
        assert!(done.result.text.contains("1 commit is on branch work now"), "{}", done.result.text);
        assert_eq!(place.repo.commit(&place.branch("work")).unwrap().summary, "by a command");
        // The commits of before the session are not its to replace.
        let script = "git reset -q --soft HEAD~2 && git commit -q --amend -m x --allow-empty";
        let done = call(&ctx, "run_command", json!({ "command": script })).await;
        assert!(done.result.text.contains("did not reach the branch"), "{}", done.result.text);
        assert_eq!(place.repo.commit(&place.branch("work")).unwrap().summary, "by a command");
    }
}

#[tokio::test]
async fn without_a_claimed_worktree_nothing_is_run() {
    let place = Place::new();
    let ctx = ToolContext::new(place.at.path.clone(), "s1".to_owned(), Arc::default());
    for (name, input) in
        [("run_command", json!({ "command": "echo ran >dir/ran" })), ("commit", json!({ "message": "x" }))]
    {
        let done = call(&ctx, name, input).await;
        assert!(
            done.result.is_error && done.result.text.contains("no claimed worktree"),
            "{}",
            done.result.text
        );
    }
    assert!(!place.at.path.join("dir/ran").exists());
}
