//! An LSP client on a pair of streams. What it was sent and no test looked at fails the test at the end.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use podium_lsp::LspOptions;
use serde_json::{Value, json};
use tokio::io::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, ReadHalf, WriteHalf,
};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::daemon::Daemon;

const TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct LspClient {
    output: WriteHalf<DuplexStream>,
    inbox: Arc<Inbox>,
    server: JoinHandle<bool>,
    next: i64,
    announced: bool,
    takes_edits: bool,
}

/// What Helix knows; it logs an error for every other notification. Other methods need an announcement.
const KNOWN: &[&str] = &[
    "textDocument/publishDiagnostics",
    "window/showMessage",
    "window/logMessage",
    "$/progress",
    "window/workDoneProgress/create",
    "window/showDocument",
    "window/showMessageRequest",
];

#[derive(Default)]
struct Inbox {
    messages: Mutex<Vec<Value>>,
    /// Methods of all that ever came.
    seen: Mutex<BTreeSet<String>>,
    changed: Notify,
}

pub(crate) fn plain() -> Value {
    json!({ "window": { "workDoneProgress": true, "showDocument": { "support": true } } })
}

pub(crate) fn with_podium() -> Value {
    json!({
        "window": { "workDoneProgress": true, "showDocument": { "support": true } },
        "experimental": { "podium": true },
    })
}

impl LspClient {
    /// A client that has not said anything yet.
    pub(crate) fn connect(daemon: &Daemon, agent: Option<&str>) -> Self {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (input, output) = tokio::io::split(theirs);
        let options = LspOptions { agent_id: agent.map(str::to_owned), ..LspOptions::new(daemon.options()) };
        let server = tokio::spawn(podium_lsp::serve(input, output, options));
        let (from, to) = tokio::io::split(ours);
        let inbox = Arc::new(Inbox::default());
        tokio::spawn(read(BufReader::new(from), Arc::clone(&inbox)));
        Self { output: to, inbox, server, next: 0, announced: false, takes_edits: false }
    }

    /// An initialized client whose window has the folder `feat-a`.
    pub(crate) async fn open(daemon: &Daemon, capabilities: Value) -> Self {
        let mut client = Self::connect(daemon, None);
        client.initialize(daemon, capabilities).await;
        client
    }

    pub(crate) async fn initialize(&mut self, daemon: &Daemon, capabilities: Value) -> Value {
        self.announced = capabilities["experimental"]["podium"] == true;
        self.takes_edits = capabilities["workspace"]["applyEdit"] == true;
        let folder = json!({ "uri": daemon.uri("feat-a"), "name": "a" });
        let params = json!({ "processId": null, "rootUri": null, "workspaceFolders": [folder], "capabilities": capabilities });
        let answer = self.request("initialize", params).await.unwrap();
        self.notify("initialized", json!({})).await;
        answer
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.output.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn send(&mut self, message: Value) {
        let body = message.to_string();
        self.write(format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).await;
    }

    pub(crate) async fn notify(&mut self, method: &str, params: Value) {
        self.send(json!({ "jsonrpc": "2.0", "method": method, "params": params })).await;
    }

    /// Sends a request without waiting; its id.
    pub(crate) async fn ask(&mut self, method: &str, params: Value) -> i64 {
        self.next += 1;
        self.send(json!({ "jsonrpc": "2.0", "id": self.next, "method": method, "params": params })).await;
        self.next
    }

    pub(crate) async fn answer_to(&self, id: i64) -> Result<Value, Value> {
        let message = self.take("an answer", |m| m["method"].is_null() && m["id"] == id).await;
        match message.get("error") {
            Some(error) => Err(error.clone()),
            None => Ok(message["result"].clone()),
        }
    }

    pub(crate) async fn request(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        let id = self.ask(method, params).await;
        self.answer_to(id).await
    }

    pub(crate) async fn command(&mut self, name: &str, arguments: Value) -> Result<Value, Value> {
        self.request("workspace/executeCommand", json!({ "command": name, "arguments": arguments })).await
    }

    pub(crate) async fn did_open(&mut self, uri: &str, text: &str) {
        let item = json!({ "uri": uri, "languageId": "rust", "version": 1, "text": text });
        self.notify("textDocument/didOpen", json!({ "textDocument": item })).await;
    }

    /// Takes the next message that fits out of the inbox.
    pub(crate) async fn take(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let found = tokio::time::timeout(TIMEOUT, async {
            loop {
                let changed = self.inbox.changed.notified();
                {
                    let mut messages = self.inbox.messages.lock().unwrap();
                    if let Some(at) = messages.iter().position(&fits) {
                        return messages.remove(at);
                    }
                }
                changed.await;
            }
        });
        match found.await {
            Ok(found) => found,
            Err(_) => panic!("no {what} among {:#?}", self.inbox.messages.lock().unwrap()),
        }
    }

    /// The parameters of the next message with this method.
    pub(crate) async fn notified(&self, method: &str) -> Value {
        self.take(method, |m| m["method"] == method).await["params"].clone()
    }

    /// Answers the next request of the server with this method; its parameters.
    pub(crate) async fn answer(&mut self, method: &str, result: Value) -> Value {
        let request = self.take(method, |m| m["method"] == method && !m["id"].is_null()).await;
        self.send(json!({ "jsonrpc": "2.0", "id": request["id"], "result": result })).await;
        request["params"].clone()
    }

    /// Chooses the option that begins with `title`; all options.
    pub(crate) async fn choose(&mut self, title: &str) -> Vec<String> {
        let request = self.take("a question", |m| m["method"] == "window/showMessageRequest").await;
        let options: Vec<String> = request["params"]["actions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|action| action["title"].as_str().unwrap().to_owned())
            .collect();
        let chosen = options.iter().find(|option| option.starts_with(title));
        let result = chosen.map(|title| json!({ "title": title }));
        self.send(json!({ "jsonrpc": "2.0", "id": request["id"], "result": result })).await;
        options
    }

    /// Sees that no message with this method has come once all earlier work is answered.
    pub(crate) async fn nothing(&mut self, method: &str) {
        self.request("workspace/symbol", json!({ "query": "" })).await.unwrap();
        let messages = self.inbox.messages.lock().unwrap();
        assert!(messages.iter().all(|m| m["method"] != method), "{messages:#?}");
    }

    /// Methods of all that was sent and not looked at.
    pub(crate) fn forget(&self, method: &str) -> Vec<Value> {
        let mut messages = self.inbox.messages.lock().unwrap();
        let (gone, kept) = messages.drain(..).partition(|m| m["method"] == method);
        *messages = kept;
        gone
    }

    /// Leaves as the protocol says.
    pub(crate) async fn leave(mut self) {
        assert_eq!(self.request("shutdown", Value::Null).await, Ok(Value::Null));
        self.notify("exit", Value::Null).await;
        assert!(self.ended().await, "a clean end");
    }

    /// Waits for the server's end; whether it was a clean one.
    pub(crate) async fn ended(&mut self) -> bool {
        tokio::time::timeout(TIMEOUT, &mut self.server).await.expect("the server ends").unwrap()
    }

    /// Closes the client's end of the streams.
    pub(crate) async fn hang_up(&mut self) {
        self.output.shutdown().await.unwrap();
    }
}

impl Drop for LspClient {
    fn drop(&mut self) {
        self.server.abort();
        let messages = self.inbox.messages.lock().unwrap();
        if !std::thread::panicking() {
            for method in self.inbox.seen.lock().unwrap().iter() {
                let takes = self.takes_edits && method == "workspace/applyEdit";
                let known = takes || self.announced || KNOWN.contains(&method.as_str());
                assert!(known, "{method} was not announced");
            }
            assert!(messages.is_empty(), "messages that nobody looked at: {messages:#?}");
        }
    }
}

async fn read(mut input: BufReader<ReadHalf<DuplexStream>>, inbox: Arc<Inbox>) {
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if input.read_line(&mut line).await.unwrap_or_default() == 0 {
                return;
            }
            match line.trim_end() {
                "" => break,
                line => length = line.strip_prefix("Content-Length: ").unwrap().parse().unwrap(),
            }
        }
        let mut body = vec![0; length];
        input.read_exact(&mut body).await.unwrap();
        let message: Value = serde_json::from_slice(&body).unwrap();
        if let Some(method) = message["method"].as_str() {
            inbox.seen.lock().unwrap().insert(method.to_owned());
        }
        inbox.messages.lock().unwrap().push(message);
        inbox.changed.notify_waiters();
    }
}
