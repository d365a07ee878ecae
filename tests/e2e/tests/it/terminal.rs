//! A real terminal (tmux), and answers that are laid out in it.

use std::path::Path;
use std::time::Duration;

use podium_harness::messages::{Block, Messages};
use podium_harness::{Poll, TestEnvironment};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(30);

/// A terminal of its own, with nothing of the user's.
pub(crate) struct Terminal<'a> {
    environment: &'a TestEnvironment,
    socket: std::path::PathBuf,
}

impl<'a> Terminal<'a> {
    pub(crate) fn new(environment: &'a TestEnvironment, folder: &Path, command: &str) -> Self {
        let terminal = Self { environment, socket: environment.root().join("tmux") };
        terminal.tmux(&[
            "-f",
            "/dev/null",
            "-u",
            "new-session",
            "-d",
            "-x",
            "120",
            "-y",
            "30",
            "-c",
            folder.to_str().unwrap(),
            &format!("{command}; echo ended with $?; exec cat"),
        ]);
        terminal
    }

    pub(crate) fn tmux(&self, args: &[&str]) -> String {
        let socket = self.socket.to_str().unwrap();
        self.environment.program("tmux").args(["-S", socket]).args(args).run().success()
    }

    pub(crate) fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    pub(crate) fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until the screen shows something.
    pub(crate) fn until(&self, what: &str, shows: impl Fn(&str) -> bool) -> String {
        let poll = Poll::new(PATIENCE).every(Duration::from_millis(30));
        poll.until(|| Some(self.screen()).filter(|screen| shows(screen)))
            .unwrap_or_else(|| panic!("{what}:\n{}", self.screen()))
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        let socket = self.socket.to_str().unwrap();
        let _ = self.environment.program("tmux").args(["-S", socket, "kill-server"]).run();
    }
}

const ANSWER: &str = "# The plan\n\nSome **bold** words, and `code`.\n\n- one\n- two\n\n```rust\nfn main() {}\n```\n\nThat is all.";

/// `jelmore` with a provider that answers by `model`.
fn asking(model: &Messages, words: &str) -> String {
    format!("ANTHROPIC_API_KEY=sk-ant-test-0123456789 ANTHROPIC_BASE_URL={} jelmore {words}", model.url())
}

#[test]
fn an_answer_is_laid_out_tools_are_folded_and_the_line_below_goes() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let write = |path: &str| json!({ "path": path, "content": "x\n" });
    let model = Messages::answering(vec![
        vec![
            Block::text("I look first.\n\n"),
            Block::tool("t1", "write_file", write("a.txt")),
            Block::tool("t2", "read_file", json!({ "path": "missing.txt" })),
        ],
        vec![Block::text(ANSWER)],
    ]);
    let command = asking(&model, "run --provider anthropic --task \"Make a plan\" --agent-id mine");
    let terminal = Terminal::new(&environment, repo.path(), &command);
    let screen = terminal.until("it ends", |screen| screen.contains("ended with 0"));
    for part in [
        "I look first.",
        "✓ write_file a.txt",
        "✗ read_file missing.txt",
        "The plan",
        "• one",
        "    fn main() {}",
    ] {
        assert_eq!(screen.matches(part).count(), 1, "{part}: once in\n{screen}");
    }
    for part in ["**bold**", "```", "# The plan"] {
        assert!(!screen.contains(part), "{part} is laid out:\n{screen}");
    }
    assert!(screen.contains("Some bold words, and code."), "{screen}");
    assert!(screen.contains("feat-make-a-plan is free again"), "{screen}");
    let coloured = terminal.tmux(&["capture-pane", "-p", "-e"]);
    assert!(coloured.contains("\u{1b}[1m") && coloured.contains("\u{1b}[36m"), "{coloured}");
    assert!(!screen.contains("tokens ·"), "the line at the bottom is gone:\n{screen}");
}

#[test]
fn ctrl_c_ends_the_answer_and_tells_how_to_come_back() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let (opens, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let model = Messages::answering_by(move |_| {
        // Until the test ends.
        let _ = gate.lock().map(|gate| gate.recv());
        vec![Block::text("late")]
    });
    let command = asking(&model, "start anthropic --prompt hello");
    let terminal = Terminal::new(&environment, repo.path(), &command);
    terminal.until("it waits", |screen| screen.contains("session") && !model.asked().is_empty());
    terminal.keys(&["C-c"]);
    let screen = terminal.until("it is cancelled", |screen| screen.contains("ended with 1"));
    assert!(screen.contains("cancelled") && screen.contains("--again"), "{screen}");
    drop(opens);
}

#[test]
fn without_colours_the_text_comes_as_it_is() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let model = Messages::answering(vec![vec![Block::text(ANSWER)]]);
    let command = format!("NO_COLOR=1 {}", asking(&model, "start anthropic --prompt hello"));
    let terminal = Terminal::new(&environment, repo.path(), &command);
    let screen = terminal.until("it ends", |screen| screen.contains("ended with 0"));
    assert!(screen.contains("# The plan") && screen.contains("**bold**"), "{screen}");
    let piped = environment.jelmore(["start", "anthropic", "--prompt", "hello"]).within(&repo);
    let piped =
        piped.var("ANTHROPIC_API_KEY", "sk-ant-test-0123456789").var("ANTHROPIC_BASE_URL", model.url());
    assert_eq!(piped.run().success().trim_end(), ANSWER);
}

#[test]
fn the_inbox_is_live_and_answered_by_keys() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let terminal = Terminal::new(&environment, repo.path(), "jelmore inbox");
    terminal.until("it is empty", |screen| screen.contains("no open questions"));
    let ask = |question: &str| {
        let asked = environment.jelmore(["inbox", "ask", question, "--agent-id", "claude-1"]).data();
        asked["item"]["id"].as_str().unwrap().to_owned()
    };
    let (push, delete) = (ask("May I push?"), ask("May I delete it?"));
    terminal.until("both show", |screen| {
        screen.contains("2 open questions") && screen.contains("push?") && screen.contains("delete it?")
    });
    let screen = terminal.screen();
    let upper_is_push = screen.find("push?") < screen.find("delete it?");
    terminal.keys(&["a"]);
    terminal.until("one is left", |screen| screen.contains("1 open question"));
    terminal.keys(&["d"]);
    terminal.until("none is left", |screen| screen.contains("no open questions"));
    terminal.keys(&["q"]);
    terminal.until("q ends it", |screen| screen.contains("ended with 0"));
    let decision = |id: &str| {
        let shown = environment.jelmore(["inbox", "show", id]).data();
        shown["item"]["decision"].as_str().unwrap().to_owned()
    };
    let expected = if upper_is_push { ("allow", "deny") } else { ("deny", "allow") };
    assert_eq!((decision(&push).as_str(), decision(&delete).as_str()), expected);
}
