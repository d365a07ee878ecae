//! Turns that fall silent: shown, told, nudged or begun anew, and at last left to a person. Tools that run are no silence.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use podium_config::{Layer, Live};
use podium_protocol::{ContextUse, HealthState, SessionHealth, SessionStatus};
use podium_sessions::anthropic::Anthropic;
use podium_sessions::{Attachment, Keys, Start, Update};
use podium_store::{Options, Store};
use serde_json::json;

use crate::agents::{configure, host, within};
use crate::anthropic::{beginning, env, event, whole};
use crate::wire::{Answer, Wire};
use crate::{Bed, acp, ask, assert_gapless, follow, text};

/// Has settings beside the agents.
fn settings(dir: &Path, lines: &str) {
    let file = dir.join("config.toml");
    let agents = fs::read_to_string(&file).unwrap_or_default();
    fs::write(file, format!("{agents}\n{lines}\n")).unwrap();
}

fn model_bed(dir: &Path, lines: &str) -> Bed {
    settings(dir, lines);
    let config = Arc::new(Live::load(vec![Layer::User(dir.join("config.toml"))]).unwrap());
    let provider = Arc::new(Anthropic::new(Keys::new(dir), Arc::clone(&config)));
    let store = Store::open(&Options { path: dir.join("p.db") }).unwrap();
    crate::agents::bed_of(dir, "a", store, provider, config)
}

async fn told(bed: &Bed, kind: &str) -> usize {
    bed.store.events(0, vec![kind.to_owned()], 100).await.unwrap().events.len()
}

/// Follows the session until its turn is in this state.
async fn until(bed: &Bed, id: &str, state: HealthState) -> SessionHealth {
    within(async {
        let Attachment::Live(mut updates) = bed.sessions.attach(id) else { panic!("it runs") };
        loop {
            let health = bed.sessions.info(id).await.unwrap().health.unwrap();
            if health.state == state {
                return health;
            }
            while !matches!(updates.recv().await.unwrap(), Update::Health(_)) {}
        }
    })
    .await
}

/// A connection that is kept open by pings alone.
fn pinging() -> Answer {
    let mut pieces = beginning(&["one "]);
    pieces.push(event("ping", json!({})));
    Answer { hangs: true, ..Answer::stream(pieces) }
}

#[tokio::test]
async fn a_model_that_falls_silent_is_shown_so_and_nudged_to_go_on() {
    let wire = Wire::answering(vec![pinging(), Answer::stream(whole(&["two"]))]).await;
    let dir = tempfile::tempdir().unwrap();
    let bed = model_bed(dir.path(), "[anthropic]\nsilent_seconds = 1");
    let id = bed.sessions.start(Start { env: env(&wire), ..ask("count") }).await.unwrap().id;
    until(&bed, &id, HealthState::Silent).await;
    assert_eq!(
        bed.sessions.list(Default::default()).await.unwrap()[0].health.as_ref().unwrap().state,
        HealthState::Silent
    );
    let (items, end) = within(follow(&bed.sessions, &id)).await;
    assert_gapless(&items);
    assert_eq!((text(&items).as_str(), end.status), ("one two", SessionStatus::Completed), "{end:?}");
    assert_eq!(wire.asked().len(), 2);
    assert_eq!((told(&bed, "session.silent").await, told(&bed, "session.nudged").await), (1, 1));
    assert_eq!(bed.sessions.info(&id).await.unwrap().health, None, "it runs no more");
}

#[tokio::test]
async fn a_model_that_stays_silent_is_asked_four_times_and_then_left_to_a_person() {
    let silent = Answer { silent: true, ..Answer::stream(Vec::new()) };
    let mut answers = vec![silent; 4];
    answers.push(Answer::stream(whole(&["there"])));
    let wire = Wire::answering(answers).await;
    let dir = tempfile::tempdir().unwrap();
    let bed = model_bed(dir.path(), "[anthropic]\nsilent_seconds = 1\n[sessions]\nstall_seconds = 1");
    let id = bed.sessions.start(Start { env: env(&wire), ..ask("count") }).await.unwrap().id;
    let (_, end) = within(follow(&bed.sessions, &id)).await;
    assert_eq!(end.status, SessionStatus::Parked, "{end:?}");
    assert!(end.reason.as_ref().unwrap().starts_with("silent: anthropic"), "{end:?}");
    assert_eq!(wire.asked().len(), 4);
    bed.sessions.resume(&id, None, env(&wire)).await.unwrap();
    let (items, end) = within(follow(&bed.sessions, &id)).await;
    assert_eq!((text(&items).as_str(), end.status), ("there", SessionStatus::Completed));
}

#[tokio::test]
async fn a_silent_program_is_ended_and_begun_anew_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!(
        "cd {}; echo $$ >>pids; if [ -e once ]; then echo whole; else touch once; echo half; exec sleep 1000; fi",
        dir.path().display()
    );
    configure(dir.path(), "sleepy", "text", &script);
    settings(dir.path(), "[command]\nsilent_seconds = 1");
    let bed = crate::agents::program_bed(dir.path(), "a");
    let id = bed.sessions.start(ask("go")).await.unwrap().id;
    let (items, end) = within(follow(&bed.sessions, &id)).await;
    assert_gapless(&items);
    let cut = "half\n\n\n[sleepy was stopped here; the answer is cut off.]\n\nwhole\n";
    assert_eq!((text(&items).as_str(), end.status), (cut, SessionStatus::Completed), "{end:?}");
    assert_eq!((told(&bed, "session.silent").await, told(&bed, "session.restarted").await), (1, 1));
    let pids = fs::read_to_string(dir.path().join("pids")).unwrap();
    assert_eq!(pids.lines().count(), 2);
    assert_eq!(host(dir.path()).sessions(), Vec::<String>::new(), "nothing of it is left");
}

#[tokio::test]
async fn a_program_that_stays_silent_is_begun_anew_three_times_and_then_parked() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!("echo x >>{}/starts; exec sleep 1000", dir.path().display());
    configure(dir.path(), "mute", "text", &script);
    settings(dir.path(), "[command]\nsilent_seconds = 1");
    let bed = crate::agents::program_bed(dir.path(), "a");
    let id = bed.sessions.start(ask("go")).await.unwrap().id;
    let (_, end) = within(follow(&bed.sessions, &id)).await;
    let reason = end.reason.unwrap();
    assert_eq!(end.status, SessionStatus::Parked, "{reason}");
    assert!(reason.starts_with("silent: nothing came from command for 2 s, 4 times"), "{reason}");
    assert_eq!(fs::read_to_string(dir.path().join("starts")).unwrap(), "x\n".repeat(4));
    assert_eq!(host(dir.path()).sessions(), Vec::<String>::new(), "nothing of it is left");
}

#[tokio::test]
async fn an_agent_whose_tool_runs_is_not_silent_however_long_that_takes() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!(
        r#"cd {}
echo '{{"type":"tool_call","id":"t","name":"make","input":{{}}}}'
while [ ! -e built ]; do sleep 0.05; done
echo '{{"type":"tool_result","id":"t","content":"built"}}'
echo '{{"type":"text","text":"Done."}}'"#,
        dir.path().display()
    );
    configure(dir.path(), "builder", "json", &script);
    settings(dir.path(), "[command]\nsilent_seconds = 1");
    let bed = crate::agents::program_bed(dir.path(), "a");
    let id = bed.sessions.start(ask("go")).await.unwrap().id;
    let health = until(&bed, &id, HealthState::Tool).await;
    assert_eq!(health.tool.as_deref(), Some("make"));
    // Longer than silence may last.
    // tidy-allow(sleep): that nothing happens is told by nobody
    tokio::time::sleep(std::time::Duration::from_millis(2_600)).await;
    assert_eq!(bed.sessions.info(&id).await.unwrap().health, Some(health), "still the same tool");
    fs::write(dir.path().join("built"), "").unwrap();
    let (items, end) = within(follow(&bed.sessions, &id)).await;
    assert_eq!((text(&items).as_str(), end.status), ("Done.", SessionStatus::Completed), "{end:?}");
    assert_eq!(told(&bed, "session.silent").await, 0);
}

#[tokio::test]
async fn a_silent_agent_of_the_protocol_is_begun_anew_and_told_what_it_said() {
    let dir = tempfile::tempdir().unwrap();
    crate::acp_faults::configure(
        dir.path(),
        &format!(
            r#"cd {}
            if [ -e once ]; then
                case "$line" in *'You said already'*one.*) say s two. ;; *) say s "told $line" ;; esac
                answer 3 '{{"stopReason":"end_turn"}}'; cat >/dev/null
            else touch once; say s one.; trap '' TERM; while :; do sleep 1; done; fi"#,
            dir.path().display()
        ),
    );
    settings(dir.path(), "[acp]\nsilent_seconds = 1");
    let bed = acp::bed(dir.path(), "a");
    let id = bed.sessions.start(ask("go")).await.unwrap().id;
    let (items, end) = within(follow(&bed.sessions, &id)).await;
    assert_gapless(&items);
    assert_eq!((text(&items).as_str(), end.status), ("one.two.", SessionStatus::Completed), "{end:?}");
    assert_eq!(told(&bed, "session.restarted").await, 1);
    assert_eq!(host(dir.path()).sessions(), Vec::<String>::new(), "nothing of it is left");
}

#[tokio::test]
async fn how_full_the_window_is_is_told_stored_and_known_afterwards() {
    let wire = Wire::answering(vec![Answer::stream(whole(&["one"]))]).await;
    let dir = tempfile::tempdir().unwrap();
    let bed = model_bed(dir.path(), "[anthropic]\ncontext_tokens = 1000");
    let id = bed.sessions.start(Start { env: env(&wire), ..ask("count") }).await.unwrap().id;
    let Attachment::Live(mut updates) = bed.sessions.attach(&id) else { panic!("it runs") };
    let mut live = None;
    while let Ok(update) = within(updates.recv()).await {
        match update {
            Update::Context(context) => live = Some(context),
            Update::End(_) => break,
            _ => {}
        }
    }
    // 12 tokens were asked and 9 answered.
    let expected = Some(ContextUse { used: 21, window: Some(1_000) });
    assert_eq!(live, expected);
    assert_eq!(bed.sessions.info(&id).await.unwrap().context, expected);
}
