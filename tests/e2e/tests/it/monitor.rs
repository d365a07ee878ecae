//! `imi monitor` in a real terminal (tmux), and where there is none.

use std::fs;

use podium_harness::TestEnvironment;

use crate::terminal::Terminal;

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
fn keys_claim_release_open_and_show_the_work() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    environment.imi(["feat", "a"]).within(&repo).ok();
    let path = environment.root().join("app.worktrees/feat-a");
    let text = fs::read_to_string(path.join("d0/f1.txt")).unwrap();
    fs::write(path.join("d0/f1.txt"), text.replacen("line 0 of file 1", "rewritten", 1)).unwrap();
    fs::write(path.join("new.txt"), "new").unwrap();
    let editor = environment.root().join("editor");
    fs::write(&editor, "#!/bin/sh\necho \"opened $* in $PWD\"\nread line\necho \"$line\" > typed\n").unwrap();
    fs::set_permissions(&editor, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let command = format!("EDITOR='{} --now' VISUAL= imi monitor", editor.display());
    let terminal = Terminal::new(&environment, repo.path(), &command);
    terminal.until("the worktrees show", |screen| screen.contains("feat-a"));
    terminal.keys(&["j"]);
    terminal.keys(&["c"]);
    terminal.until("it is claimed", |screen| {
        screen.contains("feat-a is claimed by person:") && line(screen, "feat-a").contains("person")
    });
    terminal.keys(&["l"]);
    terminal.until("a refusal is told", |screen| {
        screen.contains("--allow-dirty") || screen.contains("uncommitted")
    });
    terminal.keys(&["d"]);
    let screen = terminal.until("its work shows", |screen| screen.contains("feat-a against main"));
    assert!(screen.contains("+rewritten") && screen.contains("? new.txt"), "{screen}");
    terminal.keys(&["q"]);
    terminal.until("the list is back", |screen| !line(screen, "feat-a").is_empty());
    terminal.keys(&["o"]);
    terminal.until("the editor has the terminal", |screen| {
        screen.contains(&format!("opened --now . in {}", path.display())) && !screen.contains("trunk-main")
    });
    terminal.keys(&["every letter arrives", "Enter"]);
    terminal.until("the monitor is back", |screen| !line(screen, "feat-a").is_empty());
    assert_eq!(fs::read_to_string(path.join("typed")).unwrap(), "every letter arrives\n");

    environment.git(&path, ["checkout", "-q", "--", "."]);
    environment.git(&path, ["clean", "-qf"]);
    terminal.keys(&["l"]);
    terminal.until("it is free", |screen| screen.contains("feat-a is free"));
    terminal.keys(&["d"]);
    terminal.until("nothing is told too", |screen| screen.contains("feat-a has no changes"));
    terminal.keys(&["x"]);
    terminal.until("no session to cancel", |screen| screen.contains("no session runs in feat-a"));
    terminal.keys(&["s"]);
    terminal.until("no session to resume", |screen| screen.contains("no session waits"));
    terminal.keys(&["q"]);
    terminal.until("q ends it", |screen| screen.contains("ended with 0"));
}

#[test]
fn work_is_compared_with_where_it_left_trunk_whatever_the_main_worktree_has_checked_out() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    // Trunk is ahead at its remote; here it is behind, and not even checked out.
    repo.write("pushed.txt", "by others\n");
    repo.commit("by others");
    repo.git(["push", "-q", "origin", "main"]);
    repo.git(["reset", "-q", "--hard", "HEAD~1"]);
    repo.git(["switch", "-q", "-c", "elsewhere"]);
    repo.write("elsewhere.txt", "elsewhere\n");
    repo.commit("elsewhere");
    environment.imi(["feat", "a"]).within(&repo).ok();
    let path = environment.root().join("app.worktrees/feat-a");
    assert!(path.join("pushed.txt").exists(), "it starts from the newest trunk");
    fs::write(path.join("mine.txt"), "mine\n").unwrap();
    environment.git(&path, ["add", "mine.txt"]);
    environment.git(&path, ["commit", "-qm", "mine"]);
    let terminal = Terminal::new(&environment, repo.path(), "imi monitor");
    terminal.until("the worktrees show", |screen| screen.contains("feat-a"));
    terminal.keys(&["/"]);
    terminal.keys(&["feat-a", "Enter", "d"]);
    let screen = terminal.until("its work shows", |screen| screen.contains("feat-a against main"));
    assert!(screen.contains("+mine"), "{screen}");
    assert!(!screen.contains("by others") && !screen.contains("elsewhere"), "{screen}");
    terminal.keys(&["q", "q"]);
    terminal.until("q ends it", |screen| screen.contains("ended with 0"));
}

#[test]
fn going_somewhere_asks_which_worktree_is_meant_and_shows_who_holds_it() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    for name in ["user-auth", "user-list"] {
        environment.imi(["feat", name]).within(&repo).ok();
    }
    environment.imi(["claim", "feat-user-list", "--agent-id", "claude-1"]).within(&repo).ok();
    let found = environment.imi(["go", "ulist"]).within(&repo).data();
    assert_eq!(found["worktree"]["name"], "feat-user-list");
    let text = environment.imi(["go", "ulist"]).within(&repo).run().success();
    assert!(text.contains("held by claude-1"), "{text}");
    let error = environment.imi(["go", "user"]).within(&repo).fails(1);
    let candidates = error["candidates"].as_array().unwrap();
    let names: Vec<_> = candidates.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["feat-user-auth", "feat-user-list"]);
    assert_eq!(candidates[1]["owner"]["agentId"], "claude-1");
    let terminal = Terminal::new(&environment, repo.path(), "cd \"$(imi go user --print-path)\" && pwd");
    let screen = terminal.until("it asks", |screen| screen.contains("Which one?"));
    assert!(
        screen.lines().any(|line| line.contains("feat-user-list") && line.contains("claude-1")),
        "{screen}"
    );
    terminal.keys(&["2", "Enter"]);
    let there = environment.root().join("app.worktrees/feat-user-list");
    terminal.until("it goes there", |screen| screen.contains(&format!("\n{}", there.display())));
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
