//! A daemon in miniature: the real socket, handshake and frames over a world in memory that tests look into.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use podium_client::{ConnectOptions, StartPolicy};
use podium_config::Home;
use podium_protocol::{
    Caller, DaemonStopping, Frame, Notify, Outcome, Request, Response, StopReason, Welcome, WireError,
};
use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

/// State that outlives a daemon, as the store does.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) worktrees: Vec<Value>,
    pub(crate) events: Vec<Value>,
    pub(crate) sessions: BTreeMap<String, Session>,
    pub(crate) artifacts: Vec<Value>,
    /// Methods and parameters in the order of their arrival.
    pub(crate) calls: Vec<(String, Value)>,
    /// Answers that stand for a method, before anything else.
    pub(crate) scripted: HashMap<String, Result<Value, WireError>>,
    subscribers: Vec<Subscriber>,
    next: u64,
}

#[derive(Default)]
pub(crate) struct Session {
    pub(crate) items: Vec<Value>,
    pub(crate) end: Option<Value>,
}

struct Subscriber {
    id: u64,
    session: Option<String>,
    out: mpsc::UnboundedSender<Out>,
}

/// What a connection writes next.
enum Out {
    Frame(Frame),
    Close,
}

impl World {
    /// Appends an event and tells the subscribers.
    pub(crate) fn emit(&mut self, kind: &str) {
        let seq = self.events.len() as u64 + 1;
        let event = json!({
            "specversion": "1.0", "seq": seq, "id": format!("e{seq}"), "source": "podium://test", "type": kind,
            "time": "2026-01-01T00:00:00Z", "dataVersion": 1, "data": {},
        });
        self.events.push(event.clone());
        for subscriber in self.subscribers.iter().filter(|s| s.session.is_none()) {
            subscriber.notify("event", json!({ "subscription": subscriber.id, "event": event }));
        }
    }

    /// Appends a piece of text to a session.
    pub(crate) fn say(&mut self, id: &str, text: &str) {
        let session = self.sessions.get_mut(id).unwrap();
        let seq = session.items.len() as u64 + 1;
        let item = json!({ "seq": seq, "kind": "text", "text": text, "time": "2026-01-01T00:00:00Z" });
        session.items.push(item.clone());
        self.update(id, json!({ "items": [item] }));
    }

    pub(crate) fn finish(&mut self, id: &str, status: &str) {
        let end = json!({
            "status": status, "usage": { "inputTokens": 1, "outputTokens": 1, "costUsd": 0.0 }, "filesChanged": [],
        });
        self.sessions.get_mut(id).unwrap().end = Some(end.clone());
        self.update(id, json!({ "end": end }));
    }

    fn update(&self, id: &str, what: Value) {
        for subscriber in self.subscribers.iter().filter(|s| s.session.as_deref() == Some(id)) {
            let mut update = what.clone();
            (update["subscription"], update["id"]) = (json!(subscriber.id), json!(id));
            subscriber.notify("session/update", update);
        }
    }

    pub(crate) fn claim(&mut self, worktree: &str, agent: &str, alive: Value) {
        let tree = self.worktrees.iter_mut().find(|tree| tree["name"] == worktree).unwrap();
        tree["claim"] = json!({
            "agentId": agent, "host": "h", "pid": null, "since": "2026-01-01T00:00:00Z", "token": 7, "alive": alive,
        });
        self.emit("worktree.claimed");
    }

    pub(crate) fn release(&mut self, worktree: &str) {
        self.worktrees.iter_mut().find(|tree| tree["name"] == worktree).unwrap()["claim"] = Value::Null;
        self.emit("worktree.released");
    }

    pub(crate) fn called(&self, method: &str) -> Vec<Value> {
        self.calls.iter().filter(|(m, _)| m == method).map(|(_, params)| params.clone()).collect()
    }

    fn session_info(&self, id: &str) -> Value {
        let session = &self.sessions[id];
        let status = session.end.as_ref().map_or(json!("in_progress"), |end| end["status"].clone());
        json!({
            "id": id, "provider": "local", "model": null, "status": status, "title": "Say hello",
            "agentId": null, "worktree": null, "worktreePath": null, "createdAt": "", "updatedAt": "",
            "checkpoint": null, "lastSeq": session.items.len(),
            "usage": { "inputTokens": 0, "outputTokens": 0, "costUsd": 0.0 },
        })
    }

    fn answer(&mut self, request: &Request, out: &mpsc::UnboundedSender<Out>) -> Result<Value, WireError> {
        let params = &request.params;
        self.calls.push((request.method.clone(), params.clone()));
        if let Some(scripted) = self.scripted.get(&request.method) {
            return scripted.clone();
        }
        let id = params["id"].as_str().unwrap_or_default().to_owned();
        Ok(match request.method.as_str() {
            "worktree/locate" => {
                let uri = params["uri"].as_str().unwrap_or_default();
                let inside =
                    |tree: &&Value| uri.starts_with(&format!("file://{}", tree["path"].as_str().unwrap()));
                json!({ "worktree": self.worktrees.iter().find(inside) })
            }
            "worktree/list" => json!({ "worktrees": self.worktrees }),
            "worktree/create" => {
                let tree =
                    worktree(Path::new("/made"), &format!("feat-{}", params["name"].as_str().unwrap()));
                self.worktrees.push(tree.clone());
                json!({ "worktree": tree, "elapsedMs": 1.0, "fromSpare": false, "created": true, "notes": [] })
            }
            "worktree/switch" => {
                let tree = self.worktrees.iter().find(|tree| tree["name"] == params["name"]);
                let tree = tree.ok_or_else(|| WireError::not_found("no such worktree"))?;
                let file = params["uri"].as_str().and_then(|uri| uri.rsplit('/').next()).unwrap_or_default();
                let path = PathBuf::from(tree["path"].as_str().unwrap()).join(file);
                json!({ "worktree": tree, "uri": path.is_file().then(|| format!("file://{}", path.display())) })
            }
            "claim/acquire" => {
                let (name, agent) = (
                    params["worktree"].as_str().unwrap(),
                    params["agentId"].as_str().unwrap_or("person:me@h"),
                );
                self.claim(name, agent, json!(true));
                json!({
                    "worktree": name, "agentId": agent, "token": 7, "since": "2026-01-01T00:00:00Z", "path": "/x",
                    "already": false,
                })
            }
            "claim/verify" => json!({ "worktree": "w", "standing": "mine", "claim": null }),
            "session/start" => {
                let id = format!("s{}", self.sessions.len() + 1);
                self.sessions.insert(id.clone(), Session::default());
                json!({ "id": id, "provider": "local", "model": null, "worktree": params["worktree"], "status": "in_progress", "lastSeq": 0 })
            }
            "session/resume" => {
                json!({ "id": id, "provider": "local", "model": null, "worktree": null, "status": "in_progress", "lastSeq": 0 })
            }
            "session/cancel" => {
                self.finish(&id, "cancelled");
                json!({ "id": id, "status": "cancelled" })
            }
            "session/list" => {
                json!({ "sessions": self.sessions.keys().map(|id| self.session_info(id)).collect::<Vec<_>>() })
            }
            "session/show" => {
                let mut shown = self.session_info(&id);
                shown["items"] = json!(self.sessions[&id].items);
                shown
            }
            "session/attach" => {
                self.attach(&id, params["fromSeq"].as_u64().unwrap_or_default(), request.id, out)
            }
            "events/subscribe" => self.subscribe(params["fromSeq"].as_u64(), request.id, out),
            "artifact/search" | "artifact/list" => {
                json!({ "hits": self.artifacts, "artifacts": self.artifacts })
            }
            "artifact/get" => {
                let mut artifact = self.artifacts.iter().find(|a| a["id"] == id.as_str()).unwrap().clone();
                artifact["path"] = json!(format!("/artifacts/{id}"));
                artifact
            }
            "status" => json!({
                "pid": 1, "version": "0", "protocol": 1, "uptimeMs": 1, "socket": "", "rssBytes": 1, "home": "",
                "clients": 1, "sessionsRunning": 0, "worktrees": 0, "headSeq": 0,
            }),
            "unsubscribe" => json!({ "existed": true }),
            other => return Err(WireError::not_found(format!("the test's daemon does not know {other}"))),
        })
    }

    // Both send their answer by themselves, so that what is stored comes behind it.
    fn attach(&mut self, id: &str, from: u64, request: u64, out: &mpsc::UnboundedSender<Out>) -> Value {
        let subscription = self.next_subscription(Some(id.to_owned()), out);
        let answer = json!({ "subscription": subscription, "session": self.session_info(id) });
        respond(out, request, Ok(answer));
        let session = &self.sessions[id];
        let items: Vec<&Value> = session.items.iter().filter(|i| i["seq"].as_u64().unwrap() > from).collect();
        let mut update = json!({ "subscription": subscription, "id": id, "items": items });
        if let Some(end) = &session.end {
            update["end"] = end.clone();
        }
        let _ =
            out.send(Out::Frame(Frame::Notify(Notify { method: "session/update".into(), params: update })));
        Value::Null
    }

    fn subscribe(&mut self, from: Option<u64>, request: u64, out: &mpsc::UnboundedSender<Out>) -> Value {
        let subscription = self.next_subscription(None, out);
        let head = self.events.len() as u64;
        let answer =
            json!({ "subscription": subscription, "headSeq": head, "oldestSeq": 1, "missed": false });
        respond(out, request, Ok(answer));
        for event in self.events.iter().skip(usize::try_from(from.unwrap_or(head)).unwrap()) {
            let params = json!({ "subscription": subscription, "event": event });
            let _ = out.send(Out::Frame(Frame::Notify(Notify { method: "event".into(), params })));
        }
        Value::Null
    }

    fn next_subscription(&mut self, session: Option<String>, out: &mpsc::UnboundedSender<Out>) -> u64 {
        self.next += 1;
        self.subscribers.push(Subscriber { id: self.next, session, out: out.clone() });
        self.next
    }
}

impl Subscriber {
    fn notify(&self, method: &str, params: Value) {
        let _ = self.out.send(Out::Frame(Frame::Notify(Notify { method: method.to_owned(), params })));
    }
}

fn respond(out: &mpsc::UnboundedSender<Out>, id: u64, outcome: Result<Value, WireError>) {
    let outcome = match outcome {
        Ok(value) => Outcome::Ok(value),
        Err(error) => Outcome::Err(error),
    };
    let _ = out.send(Out::Frame(Frame::Response(Response { id, outcome })));
}

pub(crate) fn worktree(parent: &Path, name: &str) -> Value {
    json!({
        "id": name, "repo": { "id": "r", "root": "/r" }, "name": name, "path": parent.join(name), "branch": name,
        "type": "feat", "trunk": false, "pr": null, "claim": null, "status": null, "lastCommit": null,
        "conflictsWith": [], "state": "ready",
    })
}

/// A private home with worktrees `feat-a` and `feat-b`, and the daemon that serves it.
pub(crate) struct Daemon {
    pub(crate) folder: tempfile::TempDir,
    world: Arc<Mutex<World>>,
    serving: Option<tokio::task::JoinHandle<()>>,
    starts: u32,
}

impl Daemon {
    pub(crate) fn absent() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::default();
        for name in ["feat-a", "feat-b"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            world.worktrees.push(worktree(folder.path(), name));
        }
        Self { folder, world: Arc::new(Mutex::new(world)), serving: None, starts: 0 }
    }

    pub(crate) fn running() -> Self {
        let mut daemon = Self::absent();
        daemon.start();
        daemon
    }

    pub(crate) fn home(&self) -> Home {
        Home::new(self.folder.path().join("home"), self.folder.path().join("models"))
    }

    pub(crate) fn options(&self) -> ConnectOptions {
        ConnectOptions { start: StartPolicy::Never, ..ConnectOptions::new(self.home(), "test") }
    }

    pub(crate) fn uri(&self, file: &str) -> String {
        format!("file://{}/{file}", self.folder.path().display())
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.world.lock().unwrap())
    }

    pub(crate) fn start(&mut self) {
        let socket = self.home().socket();
        std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
        std::fs::write(self.home().token_file(), "secret").unwrap();
        let listener = UnixListener::bind(&socket).unwrap();
        self.starts += 1;
        let (world, instance) = (Arc::clone(&self.world), format!("i{}", self.starts));
        self.serving = Some(tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&world), instance.clone()));
            }
        }));
    }

    /// As SIGKILL does it: no word, all connections gone.
    pub(crate) async fn kill(&mut self) {
        let serving = self.serving.take().unwrap();
        serving.abort();
        let _ = serving.await;
        self.with(|world| world.subscribers.clear());
        std::fs::remove_file(self.home().socket()).unwrap();
    }

    /// As `podium daemon stop` does it.
    pub(crate) async fn stop(&mut self) {
        let params = serde_json::to_value(DaemonStopping { reason: StopReason::Deliberate }).unwrap();
        self.with(|world| {
            for subscriber in &world.subscribers {
                subscriber.notify("daemon/stopping", params.clone());
            }
        });
        let outs: Vec<_> = self.with(|world| world.subscribers.iter().map(|s| s.out.clone()).collect());
        for out in outs {
            let _ = out.send(Out::Close);
            // The word has to leave before the connection does.
            out.closed().await;
        }
        self.kill().await;
    }
}

async fn serve(stream: UnixStream, world: Arc<Mutex<World>>, instance: String) {
    let mut wire = Framed::new(stream, LengthDelimitedCodec::new());
    let Some(Ok(hello)) = wire.next().await else { return };
    let Ok(Frame::Hello(hello)) = Frame::decode(&hello) else { panic!("a hello") };
    assert_eq!(hello.token.as_deref(), Some("secret"));
    let welcome = Welcome {
        protocol: hello.protocol,
        version: hello.version,
        pid: 1,
        instance,
        head_seq: 0,
        caller: Caller::Person,
    };
    wire.send(Bytes::from(Frame::Welcome(welcome).encode().unwrap())).await.unwrap();
    let (out, mut queue) = mpsc::unbounded_channel();
    loop {
        tokio::select! {
            incoming = wire.next() => {
                let Some(Ok(bytes)) = incoming else { return };
                let Ok(Frame::Request(request)) = Frame::decode(&bytes) else { continue };
                let answer = world.lock().unwrap().answer(&request, &out);
                let streams = matches!(request.method.as_str(), "session/attach" | "events/subscribe");
                if !streams || answer.is_err() {
                    respond(&out, request.id, answer);
                }
            }
            next = queue.recv() => match next {
                Some(Out::Frame(frame)) => {
                    if wire.send(Bytes::from(frame.encode().unwrap())).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
        }
    }
}
