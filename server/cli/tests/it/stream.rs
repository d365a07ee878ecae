//! How a session is printed and left, against a scripted daemon that speaks the real frames.

#![expect(clippy::unwrap_used, reason = "a bed that cannot be made fails the test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;

use podium_config::Home;
use podium_protocol::{
    Caller, Frame, Notify, Outcome, PROTOCOL_VERSION, Request, Response, VERSION, Welcome, WireError,
};
use serde_json::{Value, json};

use crate::bed::Bed;

/// One client's connection, as a daemon sees it.
struct Peer {
    stream: UnixStream,
}

impl Peer {
    fn read(&mut self) -> Option<Frame> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).ok()?;
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut body).ok()?;
        Frame::decode(&body).ok()
    }

    fn write(&mut self, frame: &Frame) {
        let body = frame.encode().unwrap_or_default();
        let length = u32::try_from(body.len()).unwrap_or(0).to_be_bytes();
        // A client that left early has its own reasons, which the test looks at.
        let _ = self.stream.write_all(&[&length[..], &body].concat());
    }

    fn update(&mut self, fields: Value) {
        let mut params = json!({ "subscription": 1, "id": "s1", "items": [] });
        for (key, value) in fields.as_object().into_iter().flatten() {
            params[key] = value.clone();
        }
        self.write(&Frame::Notify(Notify { method: "session/update".into(), params }));
    }

    fn end(&mut self, status: &str) {
        let usage = json!({ "inputTokens": 1, "outputTokens": 2, "costUsd": 0.0 });
        self.update(json!({ "end": { "status": status, "usage": usage, "filesChanged": [] } }));
    }
}

fn item(seq: u64, kind: &str, text: &str) -> Value {
    json!({ "seq": seq, "kind": kind, "text": text, "time": "2026-01-02T03:04:05Z" })
}

fn session() -> Value {
    json!({
        "id": "s1", "provider": "local", "model": null, "status": "in_progress", "title": "t", "agentId": null,
        "worktree": null, "worktreePath": null, "createdAt": "2026-01-02T03:04:05Z",
        "updatedAt": "2026-01-02T03:04:05Z", "checkpoint": null, "lastSeq": 0,
        "usage": { "inputTokens": 0, "outputTokens": 0, "costUsd": 0.0 },
    })
}

/// Serves one client in the bed's home: `respond` gives the answer to a request, `after` acts behind it.
fn serve(
    bed: &Bed,
    respond: impl Fn(&Request) -> Outcome + Send + 'static,
    after: impl Fn(&mut Peer, &str) + Send + 'static,
) -> (JoinHandle<()>, mpsc::Receiver<Request>) {
    let home = Home::new(bed.path("p"), bed.path("m"));
    std::fs::create_dir_all(home.run()).unwrap();
    std::fs::write(home.token_file(), "secret").unwrap();
    let listener = UnixListener::bind(home.socket()).unwrap();
    let (requests, seen) = mpsc::channel();
    let server = std::thread::spawn(move || {
        let mut peer = Peer { stream: listener.accept().unwrap().0 };
        assert!(matches!(peer.read(), Some(Frame::Hello(hello)) if hello.token.as_deref() == Some("secret")));
        peer.write(&Frame::Welcome(Welcome {
            protocol: PROTOCOL_VERSION,
            version: VERSION.into(),
            pid: std::process::id(),
            instance: "one".into(),
            head_seq: 0,
            caller: Caller::Person,
        }));
        while let Some(frame) = peer.read() {
            let Frame::Request(request) = frame else { continue };
            let outcome = respond(&request);
            peer.write(&Frame::Response(Response { id: request.id, outcome }));
            after(&mut peer, &request.method);
            let _ = requests.send(request);
        }
    });
    (server, seen)
}

fn respond(request: &Request) -> Outcome {
    Outcome::Ok(match request.method.as_str() {
        "session/start" | "session/resume" => json!({
            "id": "s1", "provider": "local", "model": null, "worktree": null, "status": "in_progress", "lastSeq": 3,
        }),
        "session/attach" => json!({ "subscription": 1, "session": session() }),
        "session/cancel" => json!({ "id": "s1", "status": "cancelled" }),
        _ => json!({}),
    })
}

fn lines(output: &[u8]) -> Vec<Value> {
    String::from_utf8_lossy(output).lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[test]
fn a_session_is_lines_from_its_first_item_to_its_end() {
    let bed = Bed::new();
    let (server, requests) = serve(&bed, respond, |peer, method| {
        if method == "session/attach" {
            peer.update(json!({ "items": [item(1, "prompt", "hi"), item(2, "text", "he")] }));
            peer.update(json!({ "progress": { "phase": "loading_model", "done": 1, "total": 2 } }));
            peer.update(json!({ "items": [item(2, "text", "he"), item(3, "text", "llo")] }));
            peer.end("completed");
        }
    });
    let output = bed.run(&["jelmore", "start", "local", "--prompt", "hi", "--seed", "7", "--json"]);
    server.join().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let lines = lines(&output.stdout);
    let types: Vec<&str> = lines.iter().map(|l| l["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["session", "item", "item", "progress", "item", "end"]);
    let text: String =
        lines.iter().filter(|l| l["kind"] == "text").map(|l| l["text"].as_str().unwrap()).collect();
    assert_eq!(text, "hello", "what came twice is printed once");
    assert_eq!(lines[5]["usage"]["outputTokens"], 2);
    let start = requests.iter().find(|r| r.method == "session/start").unwrap();
    assert_eq!((&start.params["provider"], &start.params["seed"]), (&json!("local"), &json!(7)));
}

#[test]
fn a_person_reads_the_text_and_how_it_ended() {
    let bed = Bed::new();
    let (server, _requests) = serve(&bed, respond, |peer, method| {
        if method == "session/attach" {
            peer.update(json!({ "items": [item(1, "text", "hel\u{1b}[2J"), item(2, "text", "lo")] }));
            peer.end("failed");
        }
    });
    let output = bed.run(&["jelmore", "start", "--prompt", "hi"]);
    server.join().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "hel[2Jlo\n");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("failed") && said.contains("jelmore sessions resume s1 --from-seq 2"), "{said}");
}

#[test]
fn a_resume_replays_only_what_was_not_printed() {
    let bed = Bed::new();
    let (server, requests) = serve(&bed, respond, |peer, method| {
        if method == "session/attach" {
            peer.update(json!({ "items": [item(42, "text", "on")] }));
            peer.end("parked");
        }
    });
    let output = bed.run(&["jelmore", "sessions", "resume", "s1", "--from-seq", "41", "--json"]);
    server.join().unwrap();
    assert_eq!(output.status.code(), Some(5), "parked waits for somebody");
    assert_eq!(lines(&output.stdout).last().unwrap()["resume"], "jelmore sessions resume s1 --from-seq 42");
    let attach = requests.iter().find(|r| r.method == "session/attach").unwrap();
    assert_eq!(attach.params["fromSeq"], 41);
}

fn interrupt(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
}

#[test]
fn the_first_interrupt_cancels_and_waits_for_the_end() {
    let bed = Bed::new();
    let (server, requests) = serve(&bed, respond, |peer, method| match method {
        "session/attach" => peer.update(json!({ "items": [item(1, "text", "on and on")] })),
        "session/cancel" => peer.end("cancelled"),
        _ => {}
    });
    let mut child = bed
        .command(&["jelmore", "start", "--prompt", "hi", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut printed = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(printed.by_ref().any(|line| line.contains("on and on")));
    interrupt(&child);
    let last = printed.last().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    server.join().unwrap();
    assert!(last.contains(r#""type":"end""#) && last.contains("cancelled"), "{last}");
    assert!(requests.iter().any(|r| r.method == "session/cancel" && r.params["id"] == "s1"));
}

#[test]
fn a_refused_start_is_an_envelope_that_ends_the_stream() {
    let bed = Bed::new();
    let refuse = |_: &Request| {
        Outcome::Err(WireError::unavailable("no provider is usable").hint("podium models fetch"))
    };
    let (server, _requests) = serve(&bed, refuse, |_, _| {});
    let (code, object) = bed.json(&["jelmore", "start", "--prompt", "hi", "--json"]);
    server.join().unwrap();
    assert_eq!((code, &object["type"], &object["success"]), (5, &json!("end"), &json!(false)));
    assert_eq!(object["error"]["hints"][0], "podium models fetch");
}
