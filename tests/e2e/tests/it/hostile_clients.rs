//! Whatever a client sends, or fails to send, the daemon lives on and serves the others.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use podium_harness::{TestEnvironment, process};
use podium_protocol::{ErrorKind, Frame, MAX_FRAME, Outcome};
use serde_json::json;

use crate::connections::{RawConnection, block_on, connect, framed, hello, request, token};

/// The daemon is the one it was, and answers.
fn lives(environment: &TestEnvironment, pid: u32) {
    assert_eq!(environment.daemon_pid(), Some(pid), "{}", environment.log());
}

fn refusal(frames: &[Frame]) -> String {
    match frames {
        [Frame::Refused(error)] => {
            assert!(matches!(error.kind, ErrorKind::User | ErrorKind::Unavailable), "{error:?}");
            error.message.clone()
        }
        other => panic!("one refusal and then the end, not {other:?}"),
    }
}

#[test]
fn without_the_token_nothing_is_answered() {
    let environment = TestEnvironment::new();
    let pid = environment.start_daemon();
    let right = token(&environment);
    let wrong = [
        None,
        Some(String::new()),
        Some("0".repeat(right.len())),
        Some(right[..right.len() - 1].to_owned()),
        Some(format!("{right}x")),
        Some("x".repeat(10_000)),
    ];
    for token in wrong {
        let shown = token.as_deref().map(|token| token.len());
        let mut connection = RawConnection::open(&environment);
        connection.send(&hello(token));
        // What follows at once is not looked at.
        let _ = connection.write(&framed(&request(1, "stop", json!({})).encode().unwrap()));
        let said = refusal(&connection.read_to_close());
        assert!(said.contains("token"), "token of length {shown:?}: {said}");
        assert!(!said.contains(&right));
    }
    lives(&environment, pid);
}

#[test]
fn a_request_before_the_handshake_is_refused() {
    let environment = TestEnvironment::new();
    let pid = environment.start_daemon();
    let mut connection = RawConnection::open(&environment);
    connection.send(&request(1, "status", json!({})));
    refusal(&connection.read_to_close());
    lives(&environment, pid);
}

#[test]
fn another_protocol_is_refused_with_a_reason() {
    let environment = TestEnvironment::new();
    let pid = environment.start_daemon();
    let Frame::Hello(mut greeting) = hello(Some(token(&environment))) else { unreachable!() };
    greeting.protocol = 4_000_000;
    let mut connection = RawConnection::open(&environment);
    connection.send(&Frame::Hello(greeting));
    match connection.read() {
        Some(Frame::Refused(error)) => assert!(error.message.contains("protocol"), "{error:?}"),
        // A daemon that speaks the client's protocol too is fine as well.
        Some(Frame::Welcome(_)) => {}
        other => panic!("{other:?}"),
    }
    lives(&environment, pid);
}

#[test]
fn broken_frames_close_the_connection_and_nothing_else() {
    let environment = TestEnvironment::new();
    let pid = environment.start_daemon();
    let too_long = u32::try_from(MAX_FRAME + 1).unwrap().to_be_bytes().to_vec();
    let broken: [(&str, Vec<u8>); 7] = [
        ("one byte over the limit", too_long),
        ("a hundred megabytes", (100u32 << 20).to_be_bytes().to_vec()),
        ("the largest length there is", u32::MAX.to_be_bytes().to_vec()),
        ("no bytes at all", framed(b"")),
        ("no MessagePack", framed(b"GET / HTTP/1.1\r\n\r\n")),
        ("MessagePack, but no message", framed(b"\x93\x01\x02\x03")),
        ("nested a million deep", framed(&[0x91; 1_000_000])),
    ];
    for (what, bytes) in &broken {
        let mut early = RawConnection::open(&environment);
        // Refused by its length already, perhaps: then not all of it is taken.
        let _ = early.write(bytes);
        let said = refusal(&early.read_to_close());
        assert!(!said.is_empty(), "{what}");

        let mut late = RawConnection::person(&environment);
        let _ = late.write(bytes);
        for frame in late.read_to_close() {
            assert!(
                matches!(frame, Frame::Refused(_) | Frame::Response(_) | Frame::Notify(_)),
                "{what}: {frame:?}"
            );
        }
        lives(&environment, pid);
    }
}

#[test]
fn half_a_frame_and_silence_are_cut_off() {
    let environment = TestEnvironment::new();
    let pid = environment.start_daemon();
    let greeting = framed(&hello(Some(token(&environment))).encode().unwrap());

    // Gone in the middle of a frame.
    for length in [1, 3, 4, 5, greeting.len() - 1] {
        RawConnection::open(&environment).write(&greeting[..length]).unwrap();
    }
    // Says nothing, or half a greeting, and stays.
    let mut silent = RawConnection::open(&environment);
    let mut half = RawConnection::open(&environment);
    half.write(&greeting[..greeting.len() / 2]).unwrap();
    let start = Instant::now();
    half.read_to_close();
    silent.read_to_close();
    assert!(start.elapsed() < Duration::from_secs(35), "a handshake has a deadline");
    lives(&environment, pid);
}

#[test]
fn a_client_that_stops_reading_costs_neither_memory_nor_others_their_answers() {
    let environment = TestEnvironment::new();
    let pid = environment.start_daemon();
    let before = process::resident_bytes(pid);
    let mut greedy = RawConnection::person(&environment);
    greedy.stream().set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let payload = "x".repeat(256 * 1024);
    let mut sent: usize = 0;
    // 512 MiB, or until the daemon takes no more.
    for id in 0..2048 {
        let frame = framed(&request(id, "ping", json!({"payload": payload})).encode().unwrap());
        if greedy.write(&frame).is_err() {
            break;
        }
        sent += frame.len();
    }
    let after = process::resident_bytes(pid);
    assert!(
        after < before + (96 << 20),
        "{sent} bytes sent and no answer read: from {before} to {after} bytes"
    );
    let start = Instant::now();
    lives(&environment, pid);
    assert!(start.elapsed() < Duration::from_secs(5), "others are served meanwhile");
    drop(greedy);
}

#[test]
fn a_flood_is_answered_one_by_one_and_busy_where_it_is_too_much() {
    let environment = TestEnvironment::builder().setting("daemon.requests_per_second = 50").build();
    let pid = environment.start_daemon();
    let mut connection = RawConnection::person(&environment);
    const REQUESTS: u64 = 5_000;
    let mut bytes = Vec::new();
    for id in 1..=REQUESTS {
        bytes.extend(framed(&request(id, "ping", json!({})).encode().unwrap()));
    }
    let mut writer = connection.stream().try_clone().unwrap();
    let flood = std::thread::spawn(move || std::io::Write::write_all(&mut writer, &bytes));
    let (mut seen, mut busy) = (std::collections::HashSet::new(), 0);
    while seen.len() < usize::try_from(REQUESTS).unwrap() {
        match connection.read() {
            Some(Frame::Response(response)) => {
                assert!(seen.insert(response.id), "request {} is answered once", response.id);
                match response.outcome {
                    Outcome::Ok(_) => {}
                    Outcome::Err(error) => {
                        assert_eq!(error.kind, ErrorKind::Busy, "{error:?}");
                        busy += 1;
                    }
                }
            }
            Some(_) => {}
            None => panic!("closed after {} answers", seen.len()),
        }
    }
    flood.join().unwrap().unwrap();
    assert!(busy > 0, "5,000 requests at once are more than 50 a second");
    lives(&environment, pid);
}

#[test]
fn unknown_methods_and_wrong_parameters_have_an_answer() {
    let environment = TestEnvironment::new();
    let pid = environment.start_daemon();
    let mut connection = RawConnection::person(&environment);
    let long = "m".repeat(100_000);
    let asked = [
        ("no/such", json!({})),
        ("", json!({})),
        (long.as_str(), json!({})),
        ("worktree/create", json!({"type": 7, "name": ["x"]})),
        ("worktree/create", json!([1, 2])),
        ("events/subscribe", json!("x")),
        ("session/attach", json!({"id": 3})),
        ("claim/acquire", json!({"wait": -1})),
        ("unsubscribe", json!({"subscription": "x"})),
    ];
    for (id, (method, params)) in (1..).zip(asked) {
        let error = connection.call(id, method, params).unwrap_err();
        assert_eq!(error.kind, ErrorKind::User, "{method:.40}: {error:?}");
        assert!(error.message.len() < 1000, "{method:.40}: a message is a sentence");
    }
    assert!(
        connection.call(100, "ping", json!({"payload": 1, "unheard_of": 2})).is_ok(),
        "unknown fields are ignored"
    );
    lives(&environment, pid);
}

#[test]
fn two_requests_of_one_id_do_not_confuse_it() {
    let environment = TestEnvironment::new();
    let pid = environment.start_daemon();
    let mut connection = RawConnection::person(&environment);
    for _ in 0..2 {
        connection.send(&request(7, "ping", json!({"payload": "x"})));
    }
    connection.send(&Frame::Cancel(7));
    connection.send(&Frame::Cancel(999));
    assert!(connection.call(8, "ping", json!({})).is_ok());
    lives(&environment, pid);
}

#[test]
fn hundreds_of_silent_connections_do_not_bring_it_down() {
    let environment = TestEnvironment::new();
    let pid = environment.start_daemon();
    let socket = environment.home().socket();
    // Limited by what this process may open; refused ones count as well.
    let open: Vec<UnixStream> = (0..400).map_while(|_| UnixStream::connect(&socket).ok()).collect();
    assert!(open.len() > 100, "{}", open.len());
    block_on(async { connect(&environment).await });
    drop(open);
    lives(&environment, pid);
}
