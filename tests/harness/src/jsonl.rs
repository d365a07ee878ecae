//! A program that prints one JSON object a line while it runs.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use crate::Poll;

/// Longest wait for one line. A model is loaded and a prompt read before the first text.
const LINE_TIMEOUT: Duration = Duration::from_secs(60);

/// The running program and what it said so far. Dropping it kills the program.
pub struct JsonLines {
    child: Child,
    lines: Receiver<Result<Value, String>>,
    stderr: Option<JoinHandle<String>>,
    command: String,
    seen: Vec<Value>,
}

impl JsonLines {
    pub(crate) fn new(mut child: Child, command: String) -> Self {
        let (sender, lines) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines() {
                    let Ok(line) = line else { return };
                    let parsed = serde_json::from_str(&line).map_err(|e| format!("{e}: {line}"));
                    if sender.send(parsed).is_err() {
                        return;
                    }
                }
            });
        }
        let stderr = child.stderr.take().map(|mut stderr| {
            std::thread::spawn(move || {
                let mut text = String::new();
                let _ = stderr.read_to_string(&mut text);
                text
            })
        });
        Self { child, lines, stderr, command, seen: Vec::new() }
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line; `None` at the end of the output.
    ///
    /// # Panics
    /// When a line is no JSON object, or none comes for a minute.
    pub fn read(&mut self) -> Option<Value> {
        match self.lines.recv_timeout(LINE_TIMEOUT) {
            Ok(Ok(line)) => {
                assert!(line["type"].is_string(), "{}: a line has a type: {line}", self.command);
                self.seen.push(line.clone());
                Some(line)
            }
            Ok(Err(why)) => panic!("{}: a line is one JSON object: {why}", self.command),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("{} was silent for {LINE_TIMEOUT:?}; so far: {:#?}", self.command, self.seen)
            }
        }
    }

    /// The next line of a type, passing over others.
    ///
    /// # Panics
    /// As [`JsonLines::read`], and when the output ends before.
    pub fn read_type(&mut self, kind: &str) -> Value {
        while let Some(line) = self.read() {
            if line["type"] == kind {
                return line;
            }
        }
        panic!("{} ended without a line `{kind}`: {:#?}", self.command, self.seen)
    }

    /// Everything read so far.
    #[must_use]
    pub fn seen(&self) -> &[Value] {
        &self.seen
    }

    /// Reads to the end; gives the exit code. The lines are in [`JsonLines::seen`].
    ///
    /// # Panics
    /// As [`JsonLines::read`], and when the program closes its output but does not end.
    pub fn finish(&mut self) -> Option<i32> {
        while self.read().is_some() {}
        self.wait().code()
    }

    /// What it wrote to standard error; to be asked once it has ended.
    pub fn stderr(&mut self) -> String {
        self.stderr.take().and_then(|reader| reader.join().ok()).unwrap_or_default()
    }

    /// SIGKILL. What it had printed can still be read.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        self.wait();
    }

    fn wait(&mut self) -> ExitStatus {
        let what = format!("{} ends", self.command);
        Poll::new(Duration::from_secs(20)).expect(&what, || self.child.try_wait().ok().flatten())
    }
}

impl Drop for JsonLines {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
