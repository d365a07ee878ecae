//! The daemon's log: its last lines, and on as it grows.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use podium_cli::context::Context;
use podium_cli::interrupt::Interrupts;
use podium_cli::output::{Ending, Failure, Output};
use podium_cli::style::{Painter, one_line};
use podium_protocol::WireError;
use serde_json::{Value, json};

use crate::args::LogsArgs;
use crate::daemon::home;

/// Most bytes of a log that are read for its last lines.
const TAIL_BYTES: u64 = 8 * 1024 * 1024;
/// Most bytes taken from a growing log in one turn.
const CHUNK: u64 = 1024 * 1024;
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub(crate) async fn run(context: &Context, args: &LogsArgs) -> Ending {
    let folder = home()?.logs();
    let Some(path) = newest(&folder) else {
        return Err(WireError::not_found(format!("no log in {}", folder.display()))
            .hint("the daemon writes one when it runs: `podium daemon`")
            .into());
    };
    let mut follower = Follower::open(path)?;
    for line in follower.last_lines(args.lines as usize)? {
        print(&context.output, &line)?;
    }
    if args.follow {
        follow(context, &folder, &mut follower).await?;
    }
    if context.output.is_json() {
        context.output.line(&json!({ "type": "end" }))?;
    }
    Ok(0)
}

async fn follow(context: &Context, folder: &Path, follower: &mut Follower) -> Result<(), Failure> {
    let mut interrupts = Interrupts::listen()?;
    loop {
        for line in follower.new_lines()? {
            print(&context.output, &line)?;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = interrupts.next() => return Ok(()),
        }
        if let Some(path) = newest(folder).filter(|p| *p != follower.path) {
            // What was written to the old file before the new one began.
            for line in follower.new_lines()? {
                print(&context.output, &line)?;
            }
            *follower = Follower::open(path)?;
        }
    }
}

/// The file that was written last: rotation names files by time or number, and both come out right this way.
fn newest(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let files = entries.filter(|e| e.file_type().is_ok_and(|t| t.is_file()));
    let dated = files.filter_map(|e| Some((e.metadata().ok()?.modified().ok()?, e.path())));
    dated.max().map(|(_, path)| path)
}

/// A log file and how far it was read.
struct Follower {
    path: PathBuf,
    at: u64,
    /// Beginning of a line whose end is not written yet.
    partial: Vec<u8>,
}

impl Follower {
    fn open(path: PathBuf) -> Result<Self, Failure> {
        File::open(&path).map_err(|e| unreadable(&path, &e))?;
        Ok(Self { path, at: 0, partial: Vec::new() })
    }

    fn last_lines(&mut self, count: usize) -> Result<Vec<String>, Failure> {
        let length = std::fs::metadata(&self.path).map_err(|e| unreadable(&self.path, &e))?.len();
        self.at = length.saturating_sub(TAIL_BYTES);
        let cut = self.at > 0;
        let mut lines = Vec::new();
        while self.at < length {
            lines.extend(self.new_lines()?);
        }
        // The first line of a part begins in its middle.
        let first = usize::from(cut).max(lines.len().saturating_sub(count));
        Ok(lines.split_off(first.min(lines.len())))
    }

    fn new_lines(&mut self) -> Result<Vec<String>, Failure> {
        let mut bytes = Vec::new();
        let read = || -> std::io::Result<(u64, Vec<u8>)> {
            let mut file = File::open(&self.path)?;
            // A file that shrank was started anew.
            let at = if file.metadata()?.len() < self.at { 0 } else { self.at };
            file.seek(SeekFrom::Start(at))?;
            file.take(CHUNK).read_to_end(&mut bytes)?;
            Ok((at + bytes.len() as u64, bytes))
        };
        let (at, bytes) = read().map_err(|e| unreadable(&self.path, &e))?;
        self.at = at;
        self.partial.extend(bytes);
        let Some(end) = self.partial.iter().rposition(|b| *b == b'\n') else { return Ok(Vec::new()) };
        let rest = self.partial.split_off(end + 1);
        let whole = std::mem::replace(&mut self.partial, rest);
        Ok(String::from_utf8_lossy(&whole).lines().map(str::to_owned).collect())
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    WireError::unavailable(format!("{} cannot be read: {error}", path.display())).into()
}

fn print(output: &Output, line: &str) -> Result<(), Failure> {
    if output.is_json() {
        let line = serde_json::from_str(line).unwrap_or_else(|_| Value::String(line.to_owned()));
        return output.line(&json!({ "type": "line", "line": line }));
    }
    output.text(&format!("{}\n", render(line, output.painter())))
}

/// A line of the structured log for people: time, level, message, fields.
fn render(line: &str, paint: Painter) -> String {
    let Ok(Value::Object(mut entry)) = serde_json::from_str(line) else { return one_line(line) };
    let mut take = |key: &str| entry.remove(key).map(|v| plain(&v)).unwrap_or_default();
    let (time, level) = (take("timestamp"), take("level"));
    let level = match level.as_str() {
        "ERROR" => paint.red(&level),
        "WARN" => paint.yellow(&level),
        _ => paint.dim(&level),
    };
    let mut fields = match entry.remove("fields") {
        Some(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let message =
        fields.remove("message").or_else(|| entry.remove("message")).map(|v| plain(&v)).unwrap_or_default();
    let rest: Vec<String> =
        fields.iter().chain(entry.iter()).map(|(k, v)| format!("{k}={}", plain(v))).collect();
    one_line_coloured(&[
        paint.dim(&one_line(&time)),
        level,
        one_line(&message),
        paint.dim(&one_line(&rest.join(" "))),
    ])
}

fn one_line_coloured(parts: &[String]) -> String {
    parts.iter().filter(|p| !p.is_empty()).map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_last_lines_and_then_the_new_ones_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "one\ntwo\nthree\nfo").unwrap();
        let mut follower = Follower::open(path.clone()).unwrap();
        assert_eq!(follower.last_lines(2).unwrap(), ["two", "three"]);
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"ur\nfive\n").unwrap();
        assert_eq!(follower.new_lines().unwrap(), ["four", "five"]);
        std::fs::write(&path, "new\n").unwrap();
        assert_eq!(follower.new_lines().unwrap(), ["new"]);
    }

    #[test]
    fn a_structured_line_reads_like_a_sentence() {
        let line = r#"{"timestamp":"2026-01-02T03:04:05Z","level":"WARN","fields":{"message":"slow","ms":12},"target":"x"}"#;
        assert_eq!(render(line, Painter::new(false)), "2026-01-02T03:04:05Z WARN slow ms=12 target=x");
        assert_eq!(render("panicked\tat", Painter::new(false)), "panicked at");
    }
}
