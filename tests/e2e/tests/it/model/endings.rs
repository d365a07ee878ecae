//! What goes with a session's end, what stays, and how it goes on from there.

use std::path::{Path, PathBuf};

use podium_harness::{TestEnvironment, eventually};
use serde_json::{Value, json};

use super::transcript::{Asked, Transcript, read_texts, read_to_end};
use crate::connections::{RawConnection, hello};

const LONG: Asked = Asked { prompt: "Write a long story about a lighthouse.", seed: 11, max_tokens: 900 };
const SHORT: Asked = Asked { prompt: "Say hello.", seed: 3, max_tokens: 20 };

fn capability(environment: &TestEnvironment, id: &str) -> PathBuf {
    let answer = environment.jelmore(["sessions", "capability", id]).data();
    PathBuf::from(answer["socket"].as_str().unwrap())
}

fn agent(socket: &Path) -> RawConnection {
    let mut connection = RawConnection::open_at(socket);
    connection.send(&hello(None));
    assert!(connection.read().is_some(), "the handshake succeeds");
    connection.call(1, "ping", json!({})).unwrap();
    connection
}

#[test]
fn the_socket_of_a_sessions_agent_goes_with_the_turn_and_cuts_off_whoever_is_connected() {
    let environment = TestEnvironment::with_model();
    let repo = environment.repo();
    let (id, mut lines) = LONG.start(&environment, &repo);
    read_texts(&mut lines, &mut Transcript::default(), 3);
    let socket = capability(&environment, &id);
    let mut connected = agent(&socket);
    assert_eq!(capability(&environment, &id), socket, "one for the whole turn");
    environment.jelmore(["sessions", "cancel", &id]).ok();
    read_to_end(&mut lines, Transcript::default());
    connected.read_to_close();
    eventually("the socket is gone", || !socket.exists());

    let anew = capability(&environment, &id);
    assert_ne!(anew, socket);
    agent(&anew);
    let mut other = LONG.start(&environment, &repo).1;
    read_texts(&mut other, &mut Transcript::default(), 1);
    let ended = SHORT.start(&environment, &repo);
    let (_, mut lines) = ended;
    read_to_end(&mut lines, Transcript::default());
    agent(&anew);
    other.kill();
}

#[test]
fn a_cancelled_session_generates_no_more_unless_it_is_told_to() {
    let environment = TestEnvironment::with_model();
    let repo = environment.repo();
    let (id, mut lines) = LONG.start(&environment, &repo);
    read_texts(&mut lines, &mut Transcript::default(), 3);
    environment.jelmore(["sessions", "cancel", &id]).ok();
    read_to_end(&mut lines, Transcript::default());
    let before = environment.jelmore(["sessions", "show", &id]).data();
    let refused = environment.jelmore(["--json", "sessions", "resume", &id]).within(&repo).run();
    assert_eq!(refused.code, Some(3), "{refused:#?}");
    let end: Value = serde_json::from_str(refused.stdout.trim()).unwrap();
    assert!(end["error"]["hints"].to_string().contains("--again"), "{end:#}");
    assert_eq!(environment.jelmore(["sessions", "show", &id]).data(), before);

    let mut again = environment.jelmore(["sessions", "resume", &id, "--again"]).within(&repo).lines();
    let mut shown = Transcript::default();
    read_texts(&mut again, &mut shown, before["items"].as_array().unwrap().len());
    environment.jelmore(["sessions", "cancel", &id]).ok();
    let (shown, _) = read_to_end(&mut again, shown);
    shown.equals_stored(&environment, &id);
    let told = Transcript::of(&before["items"]).text();
    assert!(shown.text().starts_with(&told) && shown.text().len() > told.len(), "it goes on behind {told:?}");
}

#[test]
fn bounds_of_a_further_turn_are_kept() {
    let environment = TestEnvironment::with_model();
    let repo = environment.repo();
    let (id, mut lines) = SHORT.start(&environment, &repo);
    read_to_end(&mut lines, Transcript::default());
    let more = ["--prompt", "Write a long story about a lighthouse.", "--max-tokens", "5"];
    for words in [&["sessions", "resume", &id][..], &["start", "--continue", "--session-id", &id]] {
        let words = [words, &more].concat();
        let mut lines = environment.jelmore(words).within(&repo).lines();
        let (_, end) = read_to_end(&mut lines, Transcript::default());
        assert_eq!(end["status"], "completed", "{end:#}");
        assert!(end["usage"]["outputTokens"].as_u64().is_some_and(|n| n <= 5), "{end:#}");
    }
}

#[test]
fn a_model_that_does_not_exist_is_not_found_and_leaves_no_session() {
    let environment = TestEnvironment::with_model();
    let ask = ["start", "local", "--prompt", "x", "--model", "nosuch"];
    let run = environment.jelmore(ask).arg("--json").run();
    assert_eq!(run.code, Some(4), "{run:#?}");
    assert!(run.stdout.contains("smollm2-135m"), "{run:#?}");
    assert_eq!(environment.jelmore(["sessions", "list"]).data()["sessions"], json!([]));
}

#[test]
fn a_worktree_is_not_removed_under_a_session_but_by_force_which_interrupts_it_first() {
    let environment = TestEnvironment::with_model();
    let repo = environment.repo();
    environment.imi(["feat", "x"]).within(&repo).ok();
    let ask = ["start", "local", "--prompt", LONG.prompt, "--max-tokens", "900", "--worktree", "feat-x"];
    let mut lines = environment.jelmore(ask).within(&repo).lines();
    let id = lines.read_type("session")["id"].as_str().unwrap().to_owned();
    let mut shown = Transcript::default();
    read_texts(&mut lines, &mut shown, 3);
    let error = environment.imi(["remove", "feat-x"]).within(&repo).fails(3);
    assert!(error["message"].as_str().unwrap().contains(&id), "{error:#}");
    let removed = environment.imi(["remove", "feat-x", "--force"]).within(&repo).data();
    assert_eq!(removed["interrupted"], json!([id]), "{removed:#}");
    let (shown, end) = read_to_end(&mut lines, shown);
    assert_eq!(end["status"], "interrupted", "{end:#}");
    shown.equals_stored(&environment, &id);
    environment.imi(["undo"]).within(&repo).ok();
    let mut again = environment.jelmore(["sessions", "resume", &id]).within(&repo).lines();
    let mut more = Transcript::default();
    read_texts(&mut again, &mut more, shown.text_items() + 1);
    environment.jelmore(["sessions", "cancel", &id]).ok();
    read_to_end(&mut again, more);
}
