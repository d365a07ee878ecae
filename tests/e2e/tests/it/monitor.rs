//! `imi monitor` in a real terminal (tmux), and where there is none.

use std::fs;
use std::path::Path;
use std::time::Duration;

use podium_harness::{Poll, TestEnvironment};

const PATIENCE: Duration = Duration::from_secs(30);

/// A terminal of its own, with nothing of the user's.
struct Terminal<'a> {
    environment: &'a TestEnvironment,
    socket: std::path::PathBuf,
}

impl<'a> Terminal<'a> {
    fn new(environment: &'a TestEnvironment, folder: &Path, command: &str) -> Self {
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

    fn tmux(&self, args: &[&str]) -> String {
        let socket = self.socket.to_str().unwrap();
        self.environment.program("tmux").args(["-S", socket]).args(args).run().success()
    }

    fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until the screen shows something.
    fn until(&self, what: &str, shows: impl Fn(&str) -> bool) -> String {
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

fn line<'s>(screen: &'s str, name: &str) -> &'s str {
    screen.lines().find(|line| line.trim_start().starts_with(name)).unwrap_or_default()
}

#[test]
fn the_dashboard_follows_worktrees_owners_changes_and_commits() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    environment.imi(["feat", "a"]).within(&repo).ok();
    let path = environment.root().join("app.worktrees/feat-a");
    let terminal = Terminal::new(&environment, repo.path(), "imi monitor");
    terminal.until("the worktrees show", |screen| screen.contains("feat-a") && screen.contains("trunk-main"));

    environment.imi(["claim", "feat-a", "--agent-id", "claude-1"]).within(&repo).ok();
    environment.imi(["feat", "b"]).within(&repo).ok();
    environment.imi(["claim", "feat-b"]).within(&repo).ok();
    terminal.until("owners show, people and agents told apart", |screen| {
        line(screen, "feat-a").contains("claude-1") && line(screen, "feat-b").contains("ann") && {
            line(screen, "feat-a").contains("agent") && line(screen, "feat-b").contains("person")
        }
    });

    fs::write(path.join("new.txt"), "new").unwrap();
    terminal.until("the change shows", |screen| line(screen, "feat-a").contains("?1"));
    environment.git(&path, ["add", "-A"]);
    let commit = environment.program("git").args(["commit", "-qm", "Count the sheep"]).within(&path);
    let _ = commit.var("PODIUM_AGENT_ID", "claude-1").run().success();
    let screen = terminal.until("the commit shows, ahead of trunk", |screen| {
        let row = line(screen, "feat-a");
        row.contains("↑1") && !row.contains("?1") && screen.contains("worktree.commit")
    });
    assert!(line(&screen, "feat-a").contains("Count the sheep"), "{screen}");
    terminal.until("ages move on", |screen| line(screen, "feat-a").contains("s ago"));

    repo.git(["worktree", "add", "-q", "-b", "by-hand", "../by-hand"]);
    terminal.until("one made by hand comes", |screen| !line(screen, "by-hand").is_empty());
    repo.git(["worktree", "remove", "../by-hand"]);
    terminal.until("and goes", |screen| line(screen, "by-hand").is_empty());

    terminal.keys(&["/"]);
    terminal.keys(&["feat-b", "Enter"]);
    terminal.until("the filter works", |screen| {
        line(screen, "feat-a").is_empty() && !line(screen, "feat-b").is_empty()
    });
    terminal.keys(&["Enter"]);
    terminal.until("the folder shows", |screen| screen.contains("app.worktrees/feat-b"));
    terminal.keys(&["x"]);
    terminal.keys(&["?"]);
    terminal.until("help shows", |screen| screen.contains("Keys"));
    terminal.keys(&["x"]);
    terminal.keys(&["q"]);
    let screen = terminal.until("q ends it", |screen| screen.contains("ended with 0"));
    assert!(!screen.contains("feat-b"), "the screen is given back: {screen}");
}

#[test]
fn the_dashboard_survives_the_daemon_and_a_resize_and_gives_the_terminal_back() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    environment.imi(["feat", "a"]).within(&repo).ok();
    let path = environment.root().join("app.worktrees/feat-a");
    let terminal = Terminal::new(&environment, repo.path(), "imi monitor");
    terminal.until("the worktrees show", |screen| screen.contains("feat-a"));
    environment.kill_daemon();
    environment.git(&path, ["commit", "-q", "--allow-empty", "-m", "meanwhile"]);
    terminal.until("what happened meanwhile is told", |screen| screen.contains("meanwhile"));
    terminal.tmux(&["resize-window", "-x", "60", "-y", "12"]);
    terminal.until("it fits", |screen| screen.lines().count() <= 12 && !line(screen, "feat-a").is_empty());
    let pids = environment.processes();
    let monitor = pids.into_iter().find(|pid| {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"imi\0monitor"))
    });
    let _ = environment.program("kill").args(["-TERM", &monitor.unwrap().to_string()]).run().success();
    terminal.until("SIGTERM ends it", |screen| screen.contains("ended with 0"));
}

#[test]
fn without_a_terminal_it_is_a_snapshot() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    environment.imi(["feat", "a"]).within(&repo).ok();
    let text = environment.imi(["monitor"]).within(&repo).run().success();
    assert!(!line(&text, "feat-a").is_empty() && text.contains("worktree.created"), "{text}");
    assert!(!text.contains('\u{1b}'), "no terminal commands: {text}");
    let data = environment.imi(["monitor", "--once"]).within(&repo).data();
    assert_eq!(data["worktrees"].as_array().unwrap().len(), 2);
}

#[test]
fn as_json_every_event_comes_once_also_across_a_killed_daemon() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    environment.imi(["feat", "a"]).within(&repo).ok();
    let path = environment.root().join("app.worktrees/feat-a");
    let mut lines = environment.imi(["monitor"]).within(&repo).lines();
    let snapshot = lines.read().unwrap();
    assert_eq!((&snapshot["type"], snapshot["worktrees"].as_array().unwrap().len()), (&"snapshot".into(), 2));
    let mut last = snapshot["headSeq"].as_u64().unwrap();
    for round in 0..6 {
        if round == 3 {
            environment.kill_daemon();
        }
        let message = format!("round {round}");
        environment.git(&path, ["commit", "-q", "--allow-empty", "-m", &message]);
        loop {
            let event = lines.read_type("event")["event"].take();
            let seq = event["seq"].as_u64().unwrap();
            assert!(seq > last, "{seq} after {last}");
            last = seq;
            if event["type"] == "worktree.commit" {
                assert_eq!(event["data"]["summary"], message);
                break;
            }
        }
    }
}
