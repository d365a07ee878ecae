//! The client itself: starts a language server, talks with it, and fails the test over what it did not expect.

use std::io::{BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::inbox::{Inbox, Message, State};
use super::{Capabilities, wire};
use crate::{Invocation, Poll, TestEnvironment};

/// Longest wait for an answer or a message.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A language server to be started.
pub struct LspBuilder<'a> {
    invocation: Invocation<'a>,
    folders: Vec<String>,
    capabilities: Capabilities,
}

/// A running language server, and all it sent.
///
/// Dropping it fails the test when messages are left that no test looked at and that such a client does not take in
/// its stride: unknown ones, error and warning messages, answers to nothing, broken framing.
pub struct LspClient {
    child: Child,
    stdin: Arc<Mutex<Option<ChildStdin>>>,
    inbox: Arc<Inbox>,
    stderr: Option<JoinHandle<String>>,
    capabilities: Capabilities,
    next_id: i64,
    initialized: Value,
    initialize_took: Duration,
}

impl<'a> LspBuilder<'a> {
    pub(crate) fn new(environment: &'a TestEnvironment, folder: &Path) -> Self {
        Self {
            invocation: environment.podium(["lsp"]).within(folder),
            folders: vec![file_uri(folder)],
            capabilities: Capabilities::minimal(),
        }
    }

    #[must_use]
    pub fn capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// One more folder of the window.
    #[must_use]
    pub fn folder(mut self, folder: impl AsRef<Path>) -> Self {
        self.folders.push(file_uri(folder.as_ref()));
        self
    }

    #[must_use]
    pub fn var(mut self, name: &str, value: &str) -> Self {
        self.invocation = self.invocation.var(name, value);
        self
    }

    /// Starts it without a word.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start_silent(self) -> LspClient {
        let mut child = self.invocation.spawn(|command| {
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        });
        let stdin = Arc::new(Mutex::new(child.stdin.take()));
        let inbox = Arc::new(Inbox::default());
        if let Some(stdout) = child.stdout.take() {
            let (inbox, stdin, knows) = (Arc::clone(&inbox), Arc::clone(&stdin), self.capabilities.knows);
            std::thread::spawn(move || receive(BufReader::new(stdout), &inbox, &stdin, knows));
        }
        let stderr = child.stderr.take().map(|mut stderr| {
            std::thread::spawn(move || {
                let mut text = String::new();
                let _ = stderr.read_to_string(&mut text);
                text
            })
        });
        LspClient {
            child,
            stdin,
            inbox,
            stderr,
            capabilities: self.capabilities,
            next_id: 0,
            initialized: Value::Null,
            initialize_took: Duration::ZERO,
        }
    }

    /// Starts it and shakes hands.
    ///
    /// # Panics
    /// When it cannot be started or does not answer.
    #[must_use]
    pub fn start(self) -> LspClient {
        let folders = self.folders.clone();
        let mut client = self.start_silent();
        client.initialize(&folders);
        client
    }
}

impl LspClient {
    fn initialize(&mut self, folders: &[String]) {
        let named: Vec<Value> = folders
            .iter()
            .map(|uri| json!({"uri": uri, "name": uri.rsplit('/').next().unwrap_or_default()}))
            .collect();
        let params = json!({
            "processId": std::process::id(),
            "clientInfo": { "name": self.capabilities.client, "version": "25.07.1" },
            "rootUri": folders.first(),
            "workspaceFolders": named,
            "capabilities": self.capabilities.announced,
        });
        let start = Instant::now();
        self.initialized = self.request("initialize", params);
        self.initialize_took = start.elapsed();
        let early = self.inbox.lock().messages.len();
        assert_eq!(early, 0, "nothing may be sent before `initialized`");
        self.notify("initialized", json!({}));
    }

    /// What the server said it can do.
    #[must_use]
    pub fn server_capabilities(&self) -> &Value {
        &self.initialized["capabilities"]
    }

    #[must_use]
    pub fn initialize_took(&self) -> Duration {
        self.initialize_took
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// # Panics
    /// When the server no longer reads.
    pub fn notify(&self, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// Sends a request without waiting; gives its id.
    ///
    /// # Panics
    /// When the server no longer reads.
    pub fn post(&mut self, method: &str, params: Value) -> i64 {
        self.next_id += 1;
        let mut message = json!({"jsonrpc": "2.0", "id": self.next_id, "method": method});
        if !params.is_null() {
            message["params"] = params;
        }
        self.send(&message);
        self.next_id
    }

    /// The answer to a request: its result or its error.
    ///
    /// # Panics
    /// When none comes.
    pub fn answer(&self, id: i64) -> Result<Value, Value> {
        let answer = self.inbox.wait(TIMEOUT, |state| state.answers.remove(&id));
        let mut answer =
            answer.unwrap_or_else(|| panic!("request {id} got no answer: {}", self.transcript()));
        if answer.get("error").is_some() { Err(answer["error"].take()) } else { Ok(answer["result"].take()) }
    }

    /// # Panics
    /// When no answer comes.
    pub fn try_request(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        let id = self.post(method, params);
        self.answer(id)
    }

    /// # Panics
    /// When the answer is an error, or none comes.
    pub fn request(&mut self, method: &str, params: Value) -> Value {
        self.try_request(method, params.clone())
            .unwrap_or_else(|error| panic!("{method} {params} fails: {error:#}\n{}", self.transcript()))
    }

    /// `workspace/executeCommand` with one object.
    ///
    /// # Panics
    /// As [`LspClient::request`].
    pub fn command(&mut self, name: &str, argument: Value) -> Value {
        self.request("workspace/executeCommand", json!({"command": name, "arguments": [argument]}))
    }

    /// The answer to the server's next request of this method, instead of the usual one.
    pub fn reply_next(&self, method: &str, result: Value) {
        self.inbox.update(|state| state.replies.entry(method.into()).or_default().push_back(result));
    }

    /// Waits for a message that no test looked at yet.
    ///
    /// # Panics
    /// When none comes.
    pub fn wait_for(&self, what: &str, matches: impl Fn(&Value) -> bool) -> Value {
        self.wait_within(TIMEOUT, &matches)
            .unwrap_or_else(|| panic!("waited in vain: {what}\n{}", self.transcript()))
    }

    /// As [`LspClient::wait_for`], for messages that may stay away.
    pub fn wait_within(&self, timeout: Duration, matches: impl Fn(&Value) -> bool) -> Option<Value> {
        self.inbox.wait(timeout, |state| state.take(&matches))
    }

    /// Waits for a notification or request of this method.
    ///
    /// # Panics
    /// When none comes.
    pub fn wait_method(&self, method: &str) -> Value {
        self.wait_for(method, |message| message["method"] == method)
    }

    /// All messages of a method so far, looked at or not; marks them.
    #[must_use]
    pub fn all(&self, method: &str) -> Vec<Value> {
        let mut state = self.inbox.lock();
        let of_method = state.messages.iter_mut().filter(|message| message.value["method"] == method);
        of_method
            .map(|message| {
                message.handled = true;
                message.value.clone()
            })
            .collect()
    }

    /// Methods of all messages so far, in order.
    #[must_use]
    pub fn methods(&self) -> Vec<String> {
        let state = self.inbox.lock();
        state.messages.iter().filter_map(|m| m.value["method"].as_str().map(str::to_owned)).collect()
    }

    /// Waits for an answer that names no request, as one to what could not be read.
    ///
    /// # Panics
    /// When none comes.
    pub fn stray_answer(&self) -> Value {
        let found =
            self.inbox.wait(TIMEOUT, |state| (!state.stray.is_empty()).then(|| state.stray.remove(0)));
        found.unwrap_or_else(|| panic!("no answer came: {}", self.transcript()))
    }

    /// Forgets answers that named no request.
    pub fn discard_stray(&self) {
        self.inbox.update(|state| state.stray.clear());
    }

    /// Opens a document of the disk.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn open(&self, path: &Path, language: &str) -> String {
        let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let uri = file_uri(path);
        let document = json!({"uri": uri, "languageId": language, "version": 1, "text": text});
        self.notify("textDocument/didOpen", json!({ "textDocument": document }));
        uri
    }

    /// Bytes as they are.
    ///
    /// # Panics
    /// When the server no longer reads.
    pub fn send_bytes(&self, bytes: &[u8]) {
        let mut stdin = self.stdin.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(stdin) = stdin.as_mut() else { panic!("the input is closed") };
        stdin
            .write_all(bytes)
            .and_then(|()| stdin.flush())
            .unwrap_or_else(|e| panic!("the server no longer reads: {e}"));
    }

    fn send(&self, message: &Value) {
        let mut bytes = Vec::new();
        let _ = wire::write(&mut bytes, message);
        self.send_bytes(&bytes);
    }

    /// Closes the server's input.
    pub fn close_input(&self) {
        self.stdin.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Waits for the server to end; gives its exit code.
    ///
    /// # Panics
    /// When it lives on.
    pub fn wait_exit(&mut self) -> Option<i32> {
        let poll = Poll::new(Duration::from_secs(10));
        poll.expect("the language server ends", || self.child.try_wait().ok().flatten()).code()
    }

    /// SIGKILL. Gives the messages of a method that no test looked at yet, and forgets the others: the last one may be half.
    #[must_use]
    pub fn kill(mut self, method: &str) -> Vec<Value> {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ended = self.inbox.wait(TIMEOUT, |state| state.ended.then_some(()));
        self.inbox.update(|state| {
            state.stray.clear();
            state.broken = None;
            let fresh = |message: &Message| !message.handled && message.value["method"] == method;
            state.messages.drain(..).filter(fresh).map(|message| message.value).collect()
        })
    }

    /// Leaves as the protocol says.
    ///
    /// # Panics
    /// When the server does not end with success.
    pub fn shutdown(mut self) {
        self.request("shutdown", Value::Null);
        self.notify("exit", Value::Null);
        assert_eq!(self.wait_exit(), Some(0), "success after `shutdown` and `exit`");
    }

    /// What was sent, for the message of a failed test.
    fn transcript(&self) -> String {
        let state = self.inbox.lock();
        let lines: Vec<String> =
            state.messages.iter().map(|m| format!("  {:.300}", m.value.to_string())).collect();
        let broken = state.broken.as_deref().unwrap_or("nothing");
        format!("{} sent (broken: {broken}):\n{}", self.capabilities.client, lines.join("\n"))
    }

    fn unexpected(&self) -> Vec<String> {
        let state = self.inbox.lock();
        let messages =
            state.messages.iter().filter(|m| !m.handled && !is_routine(&m.value, self.capabilities.knows));
        let mut found: Vec<String> = messages.map(|m| m.value.to_string()).collect();
        found.extend(state.stray.iter().map(|answer| format!("an answer to nothing: {answer}")));
        found.extend(state.broken.clone());
        found
    }
}

impl Drop for LspClient {
    #[expect(clippy::print_stderr, reason = "what a person needs to understand the failure")]
    fn drop(&mut self) {
        self.close_input();
        let _ = Poll::new(Duration::from_secs(5)).until(|| self.child.try_wait().ok().flatten());
        let _ = self.child.kill();
        let _ = self.child.wait();
        let stderr = self.stderr.take().and_then(|reader| reader.join().ok()).unwrap_or_default();
        if std::thread::panicking() {
            eprintln!("the language server's standard error: {stderr}");
            return;
        }
        let unexpected = self.unexpected();
        assert!(
            unexpected.is_empty(),
            "messages that {} does not expect: {unexpected:#?}",
            self.capabilities.client
        );
        assert!(!stderr.contains("panicked"), "the language server panicked: {stderr}");
    }
}

/// A `file:` URI.
///
/// # Panics
/// When the path is relative.
#[must_use]
pub fn file_uri(path: &Path) -> String {
    url::Url::from_file_path(path).unwrap_or_else(|()| panic!("{} is not absolute", path.display())).into()
}

/// What a client takes in its stride: all it knows, but not what tells a person about a fault.
fn is_routine(message: &Value, knows: &[&str]) -> bool {
    let method = message["method"].as_str().unwrap_or_default();
    let fault = method == "window/showMessage" && message["params"]["type"].as_i64().is_some_and(|t| t <= 2);
    knows.contains(&method) && !fault
}

fn receive(
    mut input: BufReader<impl std::io::Read>,
    inbox: &Inbox,
    stdin: &Mutex<Option<ChildStdin>>,
    knows: &[&str],
) {
    loop {
        let message = match wire::read(&mut input) {
            Ok(Some(message)) => message,
            Ok(None) => break inbox.update(|state| state.ended = true),
            Err(why) => break inbox.update(|state| (state.ended, state.broken) = (true, Some(why))),
        };
        let reply = inbox.update(|state| file(state, message, knows));
        if let Some(reply) = reply
            && let Some(stdin) = stdin.lock().unwrap_or_else(PoisonError::into_inner).as_mut()
        {
            let _ = wire::write(stdin, &reply);
        }
    }
}

/// Puts a message where it belongs; gives what to answer.
fn file(state: &mut State, message: Value, knows: &[&str]) -> Option<Value> {
    if message.get("method").is_none() {
        match message["id"].as_i64() {
            Some(id) => drop(state.answers.insert(id, message)),
            None => state.stray.push(message),
        }
        return None;
    }
    let reply = message.get("id").is_some().then(|| state.reply_to(&message, knows));
    state.messages.push(Message { value: message, handled: false });
    reply
}
