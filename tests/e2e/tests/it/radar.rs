//! The conflict radar through the real programs: command line, language server, events.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use podium_harness::{Capabilities, LspClient, Poll, TestEnvironment, TestRepo, file_uri};
use serde_json::{Value, json};

/// Far beyond what a look takes.
const PATIENCE: Duration = Duration::from_secs(60);

struct Two<'a> {
    environment: &'a TestEnvironment,
    repo: TestRepo<'a>,
    x: PathBuf,
    y: PathBuf,
}

impl<'a> Two<'a> {
    fn new(environment: &'a TestEnvironment) -> Self {
        let repo = environment.repo();
        repo.write("ten.txt", &ten("5"));
        repo.commit("ten lines");
        repo.git(["push", "-q"]);
        let make = |name: &str| {
            let made = environment.imi(["feat", name]).within(&repo).data();
            PathBuf::from(made["worktree"]["path"].as_str().unwrap())
        };
        let (x, y) = (make("x"), make("y"));
        Self { environment, repo, x, y }
    }

    fn pairs(&self) -> Value {
        self.environment.imi(["conflicts"]).within(&self.repo).data()["pairs"].clone()
    }

    fn pairs_become(&self, what: &str, count: usize) -> Value {
        Poll::new(PATIENCE)
            .expect(what, || Some(self.pairs()).filter(|pairs| pairs.as_array().unwrap().len() == count))
    }
}

/// Ten lines of which the fifth is another.
fn ten(fifth: &str) -> String {
    format!("1\n2\n3\n4\n{fifth}\n6\n7\n8\n9\n10\n")
}

fn set(worktree: &Path, fifth: &str) {
    fs::write(worktree.join("ten.txt"), ten(fifth)).unwrap();
}

fn wait_for(client: &LspClient, what: &str, uri: &str, matches: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let published = client.wait_for(what, |m| {
        m["method"] == "textDocument/publishDiagnostics"
            && m["params"]["uri"] == uri
            && matches(m["params"]["diagnostics"].as_array().unwrap())
    });
    published["params"]["diagnostics"].as_array().unwrap().clone()
}

fn of_radar(diagnostics: &[Value]) -> usize {
    diagnostics.iter().filter(|diagnostic| diagnostic["code"] == "radar").count()
}

#[test]
fn the_command_line_shows_who_conflicts_where_and_when_it_clears() {
    let environment = TestEnvironment::new();
    let two = Two::new(&environment);
    assert_eq!(two.pairs(), json!([]));
    set(&two.x, "five");
    set(&two.y, "FIVE");
    let pairs = two.pairs_become("the conflict", 1);
    assert_eq!((&pairs[0]["a"], &pairs[0]["b"]), (&"feat-x".into(), &"feat-y".into()));
    let file = json!({"path": "ten.txt", "kind": "content", "ranges": [[5, 5]], "rangesB": [[5, 5]]});
    assert_eq!(pairs[0]["files"], json!([file]));
    let listed = environment.imi(["list"]).within(&two.repo).data();
    let x = listed["worktrees"].as_array().unwrap().iter().find(|w| w["name"] == "feat-x").unwrap();
    assert_eq!(x["conflictsWith"], json!(["feat-y"]));
    assert_eq!(environment.imi(["conflicts", "nobody"]).within(&two.repo).fails(4)["kind"], "not_found");
    set(&two.y, "5");
    two.pairs_become("nothing", 0);
}

#[test]
fn the_editor_shows_the_lines_beside_the_hint_of_the_claim_and_clears_them() {
    let environment = TestEnvironment::new();
    let two = Two::new(&environment);
    environment.imi(["claim", "feat-y", "--agent-id", "claude-1"]).within(&two.repo).ok();
    set(&two.x, "five");
    set(&two.y, "FIVE");
    for capabilities in [Capabilities::vscode(), Capabilities::helix()] {
        let client = environment.lsp(&two.repo).capabilities(capabilities).start();
        let uri = client.open(&two.x.join("ten.txt"), "plaintext");
        let shown = wait_for(&client, "the line", &uri, |diagnostics| of_radar(diagnostics) == 1);
        assert_eq!(shown[0]["message"], "feat-y, held by claude-1, changes these lines too");
        assert_eq!((&shown[0]["source"], &shown[0]["severity"]), (&"podium".into(), &json!(2)));
        let range = json!({"start": {"line": 4, "character": 0}, "end": {"line": 4, "character": 4}});
        assert_eq!(shown[0]["range"], range);
        let there = &shown[0]["relatedInformation"][0]["location"];
        assert_eq!(
            (&there["uri"], &there["range"]["start"]["line"]),
            (&file_uri(&two.y.join("ten.txt")).into(), &json!(4))
        );
        // In the other worktree the hint of its owner is beside it.
        let other = client.open(&two.y.join("ten.txt"), "plaintext");
        let shown = wait_for(&client, "both", &other, |diagnostics| diagnostics.len() == 2);
        assert_eq!(of_radar(&shown), 1);
        set(&two.y, "5");
        wait_for(&client, "nothing", &uri, <[Value]>::is_empty);
        wait_for(&client, "the hint", &other, |diagnostics| {
            diagnostics.len() == 1 && of_radar(diagnostics) == 0
        });
        set(&two.y, "FIVE");
        wait_for(&client, "the line again", &uri, |diagnostics| of_radar(diagnostics) == 1);
        client.notify("textDocument/didClose", json!({"textDocument": {"uri": uri}}));
        wait_for(&client, "nothing once closed", &uri, <[Value]>::is_empty);
        client.shutdown();
    }
}

#[test]
fn lines_move_with_what_is_typed_above_them() {
    let environment = TestEnvironment::new();
    let two = Two::new(&environment);
    set(&two.x, "five");
    let client = environment.lsp(&two.repo).capabilities(Capabilities::vscode()).start();
    let uri = client.open(&two.x.join("ten.txt"), "plaintext");
    let start = json!({"line": 0, "character": 0});
    let typed = json!({"range": {"start": start, "end": start}, "text": "typed\ntyped\n"});
    client.notify(
        "textDocument/didChange",
        json!({"textDocument": {"uri": uri, "version": 2}, "contentChanges": [typed]}),
    );
    set(&two.y, "FIVE");
    let shown = wait_for(&client, "the line", &uri, |diagnostics| of_radar(diagnostics) == 1);
    assert_eq!(shown[0]["range"]["start"]["line"], 6);
    client.shutdown();
}

#[test]
fn the_editors_command_answers_as_the_command_line_does() {
    let environment = TestEnvironment::new();
    let two = Two::new(&environment);
    set(&two.x, "five");
    set(&two.y, "FIVE");
    let mut client = environment.lsp(&two.repo).capabilities(Capabilities::vscode()).start();
    let answer = client.command("podium.worktree.conflicts", json!({}));
    assert_eq!(answer["pairs"], two.pairs());
    assert_eq!(answer["upToDate"], true);
    client.shutdown();
}
