//! Completion scripts and shell functions: real shells take them.

use podium_harness::TestEnvironment;

#[test]
fn bash_takes_the_completions_and_knows_the_programs_afterwards() {
    let environment = TestEnvironment::new();
    for program in ["podium", "imi", "jelmore"] {
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
        ] {
            let script = environment.program(words[0]).args([words[1], shell]).run().success();
            let file = environment.root().join("script");
            std::fs::write(&file, script).unwrap();
            let _ = environment.program(shell).arg(check).arg(&file).run().success();
        }
    }
}
