//! Helix: no plugin, only what its language client can do, and the configuration that `podium setup` writes for it.

use std::fs;
use std::path::PathBuf;

use podium_harness::messages::{Block, Messages};
use podium_harness::{Capabilities, TestEnvironment};
use serde_json::{Value, json};

const EDIT: &str = "workspace/applyEdit";
const ASK: &str = "window/showMessageRequest";

/// It may change files; for commands it has to ask.
const RULES: &str = r#"permission = [{ tool = "edit_file", decision = "allow" }]"#;

#[test]
fn what_an_agent_writes_reaches_the_open_document_and_its_question_the_person() {
    let environment = TestEnvironment::builder().setting(RULES).build();
    let repo = environment.repo();
    repo.write("poem.txt", "one\ntwo\nthree\n");
    repo.commit("poem");
    let made = environment.imi(["feat", "agent"]).within(&repo).data();
    let worktree = PathBuf::from(made["worktree"]["path"].as_str().unwrap());
    let edits = json!([{ "old": "two", "new": "zwei" }]);
    let model = Messages::answering(vec![
        vec![Block::tool("t1", "edit_file", json!({ "path": "poem.txt", "edits": edits }))],
        vec![Block::tool("t2", "run_command", json!({ "command": "true" }))],
        vec![Block::text("Done.")],
    ]);
    let mut helix = environment
        .lsp(&worktree)
        .capabilities(Capabilities::helix())
        .var("ANTHROPIC_API_KEY", "sk-ant-test-0123456789")
        .var("ANTHROPIC_BASE_URL", model.url())
        .start();
    let uri = helix.open(&worktree.join("poem.txt"), "markdown");
    helix.reply_next(ASK, json!({ "title": "Allow once" }));
    helix.command(
        "podium.session.start",
        json!({ "provider": "anthropic", "worktree": "feat-agent", "prompt": "Change it" }),
    );
    let asked = helix.wait_method(EDIT);
    let range = json!({ "start": { "line": 1, "character": 0 }, "end": { "line": 2, "character": 0 } });
    let expected = json!([{
        "textDocument": { "uri": uri, "version": 1 },
        "edits": [{ "range": range, "newText": "zwei\n" }],
    }]);
    assert_eq!(asked["params"]["edit"]["documentChanges"], expected, "{asked:#}");
    let question = helix.wait_method(ASK);
    let text = question["params"]["message"].as_str().unwrap();
    assert!(text.contains("wants to run"), "{text}");
    let ended = helix.wait_for("the end of the session", |message| {
        message["method"] == "window/showMessage"
            && message["params"]["message"] == "The session is done; it changed poem.txt"
    });
    assert_eq!(ended["params"]["type"], 3, "{ended:#}");
    let mut known = helix.methods();
    known.retain(|method| method.starts_with("podium/"));
    assert_eq!(known, Vec::<String>::new(), "nothing that Helix does not know");
    for method in ["$/progress", "window/workDoneProgress/create", "textDocument/publishDiagnostics"] {
        let _ = helix.all(method);
    }
    let _ = helix.all("window/showMessage");
    helix.shutdown();
}

#[test]
fn the_configuration_that_setup_writes_starts_the_server_and_keeps_the_languages_own_servers() {
    let environment = TestEnvironment::new();
    environment.podium(["setup", "helix", "--write"]).ok();
    let written = fs::read_to_string(config(&environment)).unwrap();
    let config: Value = toml::from_str(&written).unwrap();
    let server = &config["language-server"]["podium"];
    assert_eq!((&server["command"], &server["args"]), (&json!("podium"), &json!(["lsp"])));
    let languages = config["language"].as_array().unwrap();
    assert!(languages.len() > 20, "{languages:#?}");
    for language in languages {
        let servers = language["language-servers"].as_array().unwrap();
        let others = servers.iter().filter(|server| *server != "podium").count();
        assert!(others >= 1 && servers.last().unwrap() == "podium", "{language}");
    }
    // As Helix does: the program by its name in PATH, with these arguments.
    let repo = environment.repo();
    let client = environment.lsp(&repo).capabilities(Capabilities::helix()).start();
    let offered = client.server_capabilities();
    let commands = offered["executeCommandProvider"]["commands"].as_array().unwrap();
    assert!(commands.contains(&json!("podium.worktree.switch")), "{commands:#?}");
    assert_eq!(offered["positionEncoding"], "utf-8");
    client.shutdown();
}

fn config(environment: &TestEnvironment) -> PathBuf {
    let vars = environment.vars();
    let folder = |name: &str| vars.get(std::ffi::OsStr::new(name)).map(PathBuf::from);
    let base = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config"))).unwrap();
    base.join("helix/languages.toml")
}
