//! Agents of the protocol that break it in the middle of a conversation, or say nothing at all.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use podium_protocol::SessionStatus;

use crate::agents::{configure_lines, host, within};
use crate::{acp, ask, assert_gapless, follow, text};

/// Answers what it is asked first, then does what the script says with the prompt (`$prompt` is its id).
pub(crate) fn configure(dir: &Path, then: &str) {
    let script = format!(
        r#"
        answer() {{ echo "{{\"jsonrpc\":\"2.0\",\"id\":$1,\"result\":$2}}"; }}
        say() {{ echo "{{\"jsonrpc\":\"2.0\",\"method\":\"session/update\",\"params\":{{\"sessionId\":\"$1\",\"update\":{{\"sessionUpdate\":\"agent_message_chunk\",\"content\":{{\"type\":\"text\",\"text\":\"$2\"}}}}}}}}"; }}
        read -r line; answer 1 '{{"protocolVersion":1}}'
        read -r line; answer 2 '{{"sessionId":"s"}}'
        read -r line; prompt=3
        {then}
        "#
    );
    let file = dir.join("odd.sh");
    fs::write(&file, script).unwrap();
    configure_lines(dir, &format!("odd acp /bin/sh {}\n", file.display()));
}

#[tokio::test]
async fn garbage_strangers_words_and_answers_to_nothing_are_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let then = r#"
        say s one.
        echo 'no JSON at all'; echo '[1, 2'; echo '7'; printf '\377\376\n'; echo
        say another stranger
        answer 99 '{"stopReason":"end_turn"}'
        answer 2 '{"sessionId":"t"}'
        echo '{"jsonrpc":"2.0","method":"session/smell","params":{}}'
        echo '{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s","update":{"sessionUpdate":"hologram"}}}'
        echo '{"jsonrpc":"2.0","id":"x","method":"session/unheard_of","params":{}}'
        read -r refusal
        case "$refusal" in *-32601*) say s two. ;; *) say s "$refusal" ;; esac
        answer 3 '{"stopReason":"end_turn"}'; answer 3 '{"stopReason":"refusal"}'
        say s late
        cat >/dev/null
    "#;
    configure(dir.path(), then);
    let bed = acp::bed(dir.path(), "a");
    let id = bed.sessions.start(ask("go")).await.unwrap().id;
    let (items, end) = within(follow(&bed.sessions, &id)).await;
    assert_gapless(&items);
    assert_eq!((end.status, end.reason), (SessionStatus::Completed, None));
    assert_eq!(text(&items), "one.two.");
}

#[tokio::test]
async fn an_agent_that_leaves_in_mid_answer_is_no_finished_answer() {
    for (leaves, how) in [("exit 0", "exit code 0"), ("exit 3", "exit code 3"), ("kill -9 $$", "signal 9")] {
        let dir = tempfile::tempdir().unwrap();
        configure(dir.path(), &format!("say s one.; sleep 0.2; {leaves}"));
        let bed = acp::bed(dir.path(), "a");
        let id = bed.sessions.start(ask("go")).await.unwrap().id;
        let (items, end) = within(follow(&bed.sessions, &id)).await;
        let reason = end.reason.unwrap();
        assert_eq!(end.status, SessionStatus::Parked, "{leaves}: {reason}");
        assert!(reason.contains(how) && reason.contains("in the middle of its answer"), "{leaves}: {reason}");
        let said = text(&items);
        assert!(
            said.starts_with("one.\n\n[odd ") && said.ends_with("is cut off.]\n\n"),
            "{leaves}: {said:?}"
        );
        assert_eq!(host(dir.path()).sessions(), Vec::<String>::new(), "nothing of it is left");
    }
}

#[tokio::test]
async fn an_agent_that_hangs_anywhere_is_cancelled_within_two_seconds() {
    let hangs = "trap '' TERM; while :; do sleep 1; done";
    for (said, script) in [
        ("", format!("{hangs}\n")),
        (
            "",
            format!(
                "read -r line; echo '{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{\"protocolVersion\":1}}}}'; {hangs}\n"
            ),
        ),
        ("one.", String::new()),
    ] {
        let dir = tempfile::tempdir().unwrap();
        if script.is_empty() {
            configure(dir.path(), &format!("say s one.; {hangs}"));
        } else {
            let file = dir.path().join("odd.sh");
            fs::write(&file, script).unwrap();
            configure_lines(dir.path(), &format!("odd acp /bin/sh {}\n", file.display()));
        }
        let bed = acp::bed(dir.path(), "a");
        let id = bed.sessions.start(ask("go")).await.unwrap().id;
        within(async {
            while host(dir.path()).sessions().is_empty()
                || text(&bed.sessions.items(&id, 0).await.unwrap().0) != said
            {
                // tidy-allow(sleep): neither items nor runners are events
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        let asked = Instant::now();
        let (_, status) = within(bed.sessions.cancel(&id)).await.unwrap();
        assert_eq!(status, SessionStatus::Cancelled);
        assert!(asked.elapsed() <= Duration::from_secs(2), "{said:?}: {:?}", asked.elapsed());
    }
}
