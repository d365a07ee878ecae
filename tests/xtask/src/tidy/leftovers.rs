//! What must not stay behind: unfinished code, tests that do not run, tests that wait for time to pass.

use super::finding::Finding;
use super::rust_source::{code, test_modules, words};
use super::tree::{SourceFile, Tree, allowed, line_at};

const RULE: &str = "leftovers";
const SLEEP: &str = "sleep";
const UNFINISHED: [&str; 3] = ["todo!", "unimplemented!", "dbg!"];
const SCRIPTS: [&str; 5] = ["ts", "mts", "js", "mjs", "cjs"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.with_extension(&["rs"]) {
        rust(file, &mut findings);
    }
    for file in tree.with_extension(&SCRIPTS).filter(|file| is_test_file(file)) {
        let skipped = [".skip(", ".only(", ".fixme("];
        lines(
            file,
            &skipped,
            RULE,
            "a test that does not always run",
            "finish it or remove it",
            &mut findings,
        );
        lines(file, &["waitForTimeout("], SLEEP, SLEEPS, WAIT, &mut findings);
    }
    for file in tree.with_extension(&["lua"]).filter(|file| is_test_file(file)) {
        lines(file, &["uv.sleep(", "loop.sleep(", "pending("], SLEEP, SLEEPS, WAIT, &mut findings);
    }
    findings
}

const SLEEPS: &str = "a test waits for time to pass";
const WAIT: &str = "wait for the condition itself (an event, a channel, a line of output); a bounded poll of something \
                    that cannot tell says so: `tidy-allow(sleep): reason`";

fn rust(file: &SourceFile, findings: &mut Vec<Finding>) {
    let code = code(file.text());
    let mut add = |offset: usize, message: String, help: &str| {
        findings.push(Finding::error(RULE, (&file.path, line_at(&code, offset)), message, help));
    };
    for word in UNFINISHED {
        for offset in words(&code, word) {
            add(
                offset,
                format!("`{word}` is left over"),
                "finish it, or return an error that says what is missing",
            );
        }
    }
    for mark in ["#[ignore", ", ignore)]"] {
        for offset in words(&code, mark).filter(|offset| !continues(&code, offset + mark.len())) {
            add(offset, "a test that does not run".into(), "make it fast and hermetic, or remove it");
        }
    }
    let whole = is_test_file(file);
    let modules = test_modules(&code);
    for offset in words(&code, "sleep(") {
        let line = line_at(&code, offset);
        let in_test = whole || modules.iter().any(|module| module.contains(&offset));
        if in_test && !allowed(file.text(), line, SLEEP) {
            findings.push(Finding::error(SLEEP, (&file.path, line), SLEEPS, WAIT));
        }
    }
}

fn continues(code: &str, end: usize) -> bool {
    code[end..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

fn lines(
    file: &SourceFile,
    words: &[&str],
    rule: &'static str,
    message: &str,
    help: &str,
    findings: &mut Vec<Finding>,
) {
    for (index, line) in file.text().lines().enumerate() {
        let comment = line.trim_start().starts_with("//") || line.trim_start().starts_with("--");
        let found = words.iter().any(|word| line.contains(word));
        if found && !comment && !allowed(file.text(), index + 1, rule) {
            findings.push(Finding::error(rule, (&file.path, index + 1), message, help));
        }
    }
}

/// Test code as a whole file. `tests/harness` and `tests/xtask` are programs that serve tests, with tests of their own.
fn is_test_file(file: &SourceFile) -> bool {
    let mut folders: Vec<&str> = file.path.split('/').collect();
    folders.pop();
    let inside = if folders.first() == Some(&"tests") { &folders[1..] } else { &folders[..] };
    let in_test_folder = inside.iter().any(|folder| matches!(*folder, "tests" | "test" | "e2e"));
    let by_name =
        file.name() == "tests.rs" || file.name().contains(".test.") || file.name().contains(".spec.");
    in_test_folder || by_name
}

#[cfg(test)]
mod tests {
    use super::super::finding::places;
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        places(&check(&Tree::of(&[(path, text)])))
    }

    #[test]
    fn unfinished_code_is_found_but_not_talk_about_it() {
        let source =
            "fn a() { todo!() }\n// todo!()\nlet x = \"dbg!\";\nfn b() { dbg!(1); unimplemented!() }\n";
        let expected = ["src/a.rs:1", "src/a.rs:4", "src/a.rs:4"];
        assert_eq!(found("src/a.rs", source), expected);
    }

    #[test]
    fn tests_that_do_not_run_are_found() {
        let source = "#[ignore]\n#[ignore = \"slow\"]\n#[ignored]\n#[cfg_attr(unix, ignore)]\n";
        assert_eq!(found("src/a.rs", source), ["src/a.rs:1", "src/a.rs:2", "src/a.rs:4"]);
        assert_eq!(found("editors/vscode/src/a.test.ts", "it.skip('x')\n// it.skip(\n").len(), 1);
        assert!(found("editors/vscode/src/list.ts", "rows.skip(1)").is_empty());
    }

    #[test]
    fn only_tests_are_told_not_to_sleep() {
        let sleep = "fn a() { std::thread::sleep(x); }\n";
        assert!(found("core/git/src/a.rs", sleep).is_empty());
        assert!(found("tests/harness/src/wait.rs", sleep).is_empty());
        assert_eq!(found("core/git/tests/it/a.rs", sleep).len(), 1);
        assert_eq!(found("tests/e2e/tests/it/a.rs", sleep).len(), 1);
        assert_eq!(found("core/git/src/status/tests.rs", sleep).len(), 1);
        let inside = format!("{sleep}#[cfg(test)]\nmod tests {{\n{sleep}}}\n");
        assert_eq!(found("core/git/src/a.rs", &inside), ["core/git/src/a.rs:4"]);
    }

    #[test]
    fn a_poll_with_a_reason_may_sleep() {
        let source = "// tidy-allow(sleep): the kernel does not tell\nsleep(x);\nsleep(x);\n";
        assert_eq!(found("core/git/tests/it/a.rs", source), ["core/git/tests/it/a.rs:3"]);
    }
}
