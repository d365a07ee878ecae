//! Completion scripts and shell functions: real shells take them.

use podium_harness::TestEnvironment;

#[test]
fn bash_takes_the_completions_and_knows_the_programs_afterwards() {
    let environment = TestEnvironment::new();
    for program in ["podium", "imi", "jelmore", "bb"] {
        let check =
            format!("set -eu; script=$({program} completions bash); eval \"$script\"; complete -p {program}");
        let said = environment.program("bash").args(["--norc", "-c", &check]).run().success();
        assert!(said.contains(program), "{said}");
    }
    assert!(environment.daemons().is_empty());
}

#[test]
fn the_function_of_bash_changes_the_folder() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let script = "set -e; eval \"$(imi shell-init bash)\"; imi feat x >/dev/null; pwd; cd /; cd \"$1\"; imi go x >/dev/null; pwd";
    let said = environment
        .program("bash")
        .args(["--norc", "-c", script, "bash"])
        .arg(repo.path())
        .within(&repo)
        .run()
        .success();
    let made = environment.imi(["status", "feat-x"]).within(&repo).data();
    let path = made["worktree"]["path"].as_str().unwrap();
    assert_eq!(said.lines().collect::<Vec<_>>(), [path, path]);
}

#[test]
fn the_functions_of_other_shells_are_what_those_shells_take() {
    let environment = TestEnvironment::new();
    for (shell, check) in [("zsh", "-n"), ("fish", "--no-execute")] {
        // The person's own choice of shell: not every machine has each.
        if !podium_harness::on_path(shell) {
            continue;
        }
        for words in [
            ["imi", "shell-init"],
            ["imi", "completions"],
            ["podium", "completions"],
            ["jelmore", "completions"],
            ["bb", "completions"],
        ] {
            let script = environment.program(words[0]).args([words[1], shell]).run().success();
            let file = environment.root().join("script");
            std::fs::write(&file, script).unwrap();
            let _ = environment.program(shell).arg(check).arg(&file).run().success();
        }
    }
}

#[test]
fn bash_offers_the_worktrees_and_sessions_that_there_are() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    environment.imi(["feat", "lighthouse"]).within(&repo).ok();
    let offered = |program: &str, words: &str| {
        let check = format!(
            "eval \"$({program} completions bash)\"; COMP_WORDS=({words} ''); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _{program}_named {program} '' ''; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        environment.program("bash").args(["--norc", "-c", &check]).within(&repo).run().success()
    };
    for words in ["imi claim", "imi remove", "imi go", "imi status", "podium imi claim"] {
        let program = words.split(' ').next().unwrap();
        let said = offered(program, words);
        assert!(said.lines().any(|line| line == "feat-lighthouse"), "{words}: {said}");
    }
    let said = offered("jelmore", "jelmore start --worktree");
    assert!(said.lines().any(|line| line == "feat-lighthouse"), "{said}");
    let said = offered("imi", "imi feat");
    assert!(!said.contains("feat-lighthouse"), "a new name is no old one: {said}");
}

#[test]
fn completing_a_name_starts_no_daemon() {
    let environment = TestEnvironment::new();
    for names in ["worktrees", "sessions"] {
        let said = environment.imi(["completions", "--names", names]).run().success();
        assert_eq!(said, "");
    }
    assert!(environment.daemons().is_empty());
}
