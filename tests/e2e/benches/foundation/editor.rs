//! A language client that does nothing beside: it writes and reads on the calling thread, so that what is timed is
//! the server.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use podium_harness::{Poll, TestEnvironment, file_uri};
use serde_json::{Value, json};

pub(crate) struct Editor {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    next_id: u64,
    /// Updates of sessions that came while an answer was waited for.
    passed: Vec<(Instant, Value)>,
}

impl Editor {
    /// Starts the release build's `podium lsp`.
    pub(crate) fn start(environment: &TestEnvironment, folder: &Path) -> Result<Self> {
        let mut child = environment.podium(["lsp"]).within(folder).spawn(|command| {
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        });
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            child.wait()?;
            anyhow::bail!("the server has no pipes");
        };
        let stdout = BufReader::new(stdout);
        Ok(Self { child, stdin, stdout, next_id: 0, passed: Vec::new() })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks for the server's capabilities and waits for them. Announces nothing but what Podium's plugins do.
    pub(crate) fn initialize(&mut self, folder: &Path) -> Result<()> {
        let uri = file_uri(folder);
        let params = json!({
            "processId": std::process::id(),
            "rootUri": uri,
            "workspaceFolders": [{ "uri": uri, "name": "app" }],
            "capabilities": { "experimental": { "podium": true } },
        });
        self.request("initialize", params).map(drop)
    }

    pub(crate) fn initialized(&mut self) -> Result<()> {
        self.send(&json!({ "jsonrpc": "2.0", "method": "initialized", "params": {} }))
    }

    /// Sends a request and reads to its answer.
    pub(crate) fn request(&mut self, method: &str, params: Value) -> Result<Value> {
        self.next_id += 1;
        let id = self.next_id;
        let mut message = json!({ "jsonrpc": "2.0", "id": id, "method": method });
        if !params.is_null() {
            message["params"] = params;
        }
        self.send(&message)?;
        loop {
            let mut found = self.read()?;
            if found["id"] == id && found.get("method").is_none() {
                if let Some(error) = found.get("error") {
                    bail!("{method} fails: {error}");
                }
                return Ok(found["result"].take());
            }
            if found["method"] == "podium/session/update" {
                self.passed.push((Instant::now(), found));
            }
        }
    }

    /// What requests passed over.
    pub(crate) fn take_passed(&mut self) -> Vec<(Instant, Value)> {
        std::mem::take(&mut self.passed)
    }

    /// The next message, whatever it is. What asks for an answer gets none: such clients announce nothing to ask for.
    pub(crate) fn read(&mut self) -> Result<Value> {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if self.stdout.read_line(&mut line)? == 0 {
                bail!("the language server ended");
            }
            let field = line.trim_end();
            if field.is_empty() {
                break;
            }
            if let Some(value) = field.strip_prefix("Content-Length: ") {
                length = value.parse()?;
            }
        }
        let mut body = vec![0; length];
        self.stdout.read_exact(&mut body)?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// Leaves as the protocol says, and waits for the end.
    pub(crate) fn leave(mut self) -> Result<()> {
        self.request("shutdown", Value::Null)?;
        self.send(&json!({ "jsonrpc": "2.0", "method": "exit" }))?;
        let ended = Poll::new(Duration::from_secs(10)).until(|| self.child.try_wait().ok().flatten());
        ended.map(drop).context("the language server does not end")
    }

    fn send(&mut self, message: &Value) -> Result<()> {
        let body = message.to_string();
        let framed = format!("Content-Length: {}\r\n\r\n{body}", body.len());
        self.stdin.write_all(framed.as_bytes())?;
        Ok(self.stdin.flush()?)
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
