//! The language server as editors use it. What needs the model is in `model::lsp`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use podium_harness::{Capabilities, LspClient, TestEnvironment, TestRepo, file_uri};
use serde_json::{Value, json};

/// A repository with a worktree `feat-x` that `claude-1` holds.
fn claimed(environment: &TestEnvironment) -> (TestRepo<'_>, std::path::PathBuf) {
    let repo = environment.repo();
    let made = environment.imi(["feat", "x"]).within(&repo).data();
    environment.imi(["claim", "feat-x", "--agent-id", "claude-1"]).within(&repo).ok();
    (repo, made["worktree"]["path"].as_str().unwrap().into())
}

fn hint_of(client: &LspClient, uri: &str) -> Value {
    client.wait_for("diagnostics of the file", |m| {
        m["method"] == "textDocument/publishDiagnostics" && m["params"]["uri"] == uri
    })["params"]["diagnostics"]
        .clone()
}

#[test]
fn every_kind_of_client_is_offered_commands_actions_symbols_and_lenses() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    for capabilities in [Capabilities::minimal(), Capabilities::helix(), Capabilities::vscode()] {
        let client = environment.lsp(&repo).capabilities(capabilities).start();
        let offered = client.server_capabilities();
        let commands = offered["executeCommandProvider"]["commands"].as_array().unwrap();
        for name in [
            "podium.worktree.create",
            "podium.worktree.list",
            "podium.worktree.switch",
            "podium.worktree.remove",
            "podium.claim.acquire",
            "podium.claim.release",
            "podium.session.start",
            "podium.session.resume",
            "podium.session.cancel",
            "podium.session.fork",
            "podium.session.rewind",
            "podium.session.show",
            "podium.session.list",
            "podium.artifact.search",
            "podium.inbox.answer",
            "podium.status",
            "podium.doctor",
        ] {
            assert!(commands.contains(&name.into()), "{name} in {commands:?}");
        }
        for provider in
            ["codeActionProvider", "workspaceSymbolProvider", "codeLensProvider", "textDocumentSync"]
        {
            assert!(!offered[provider].is_null() && offered[provider] != false, "{provider}");
        }
        client.shutdown();
    }
}

#[test]
fn the_best_position_encoding_of_both_is_chosen() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    // "é" and "😀" before a TODO: its column differs in each encoding.
    let file = repo.write("odd.txt", "first\né😀 TODO: x\n");
    let cases = [
        (&["utf-8", "utf-16"][..], "utf-8", 7),
        (&["utf-32", "utf-16"], "utf-32", 3),
        (&["utf-16"], "utf-16", 4),
        (&["utf-9"], "utf-16", 4),
    ];
    for (offered, chosen, start) in cases {
        let capabilities = Capabilities::vscode().with_encodings(offered);
        let mut client = environment.lsp(&repo).capabilities(capabilities).start();
        assert_eq!(client.server_capabilities()["positionEncoding"], chosen);
        let uri = client.open(&file, "plaintext");
        // The emoji is replaced by nothing, by positions in the chosen encoding.
        let emoji = match chosen {
            "utf-8" => [2, 6],
            "utf-16" => [1, 3],
            _ => [1, 2],
        };
        let range =
            json!({"start": {"line": 1, "character": emoji[0]}, "end": {"line": 1, "character": emoji[1]}});
        client.notify(
            "textDocument/didChange",
            json!({
                "textDocument": {"uri": uri, "version": 2}, "contentChanges": [{"range": range, "text": ""}],
            }),
        );
        let lenses = client.request("textDocument/codeLens", json!({"textDocument": {"uri": uri}}));
        let end = &lenses[0]["range"]["end"]["character"];
        let expected = match chosen {
            "utf-8" => "é TODO: x".len(),
            _ => "é TODO: x".chars().count(),
        };
        assert_eq!(
            end.as_u64(),
            u64::try_from(expected).ok(),
            "{chosen} (TODO at {start} before): {lenses:#}"
        );
        client.shutdown();
    }
}

#[test]
fn worktrees_are_made_listed_and_claimed_through_commands() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let mut client = environment.lsp(&repo).capabilities(Capabilities::helix()).start();
    let made = client.command("podium.worktree.create", json!({"type": "feat", "name": "from-lsp"}));
    assert!(Path::new(made["worktree"]["path"].as_str().unwrap()).is_dir(), "{made:#}");
    let claimed =
        client.command("podium.claim.acquire", json!({"worktree": "feat-from-lsp", "agentId": "claude-1"}));
    assert!(claimed["token"].as_u64().is_some());
    let listed = client.command("podium.worktree.list", json!({}));
    let worktree =
        listed["worktrees"].as_array().unwrap().iter().find(|w| w["name"] == "feat-from-lsp").unwrap();
    assert_eq!(worktree["claim"]["agentId"], "claude-1");

    let params = json!({"command": "podium.claim.acquire", "arguments": [{"worktree": "feat-from-lsp", "agentId": "b"}]});
    let refused = client.try_request("workspace/executeCommand", params).unwrap_err();
    assert_eq!(refused["data"]["owner"]["agentId"], "claude-1", "{refused:#}");
    assert_eq!(refused["data"]["kind"], "conflict");
    client.command("podium.claim.release", json!({"worktree": "feat-from-lsp", "agentId": "claude-1"}));
    client.shutdown();
}

#[test]
fn without_arguments_a_person_chooses() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    environment.imi(["feat", "one"]).within(&repo).ok();
    let mut client = environment.lsp(&repo).capabilities(Capabilities::helix()).start();
    client.reply_next("window/showMessageRequest", json!({"title": "no such choice"}));
    let params = json!({"command": "podium.claim.acquire", "arguments": []});
    let _ = client.try_request("workspace/executeCommand", params);
    let asked = client.wait_method("window/showMessageRequest");
    let actions = asked["params"]["actions"].as_array().unwrap();
    assert!(actions.iter().any(|a| a["title"].as_str().is_some_and(|t| t.contains("feat-one"))), "{asked:#}");
    let _ = client.all("window/showMessage");
    client.shutdown();
}

#[test]
fn switching_opens_the_same_file_in_the_other_worktree() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    environment.imi(["feat", "there"]).within(&repo).ok();
    let mut client = environment.lsp(&repo).capabilities(Capabilities::helix()).start();
    let uri = client.open(&repo.path().join("d0/f3.txt"), "plaintext");
    let answer = client.command("podium.worktree.switch", json!({"name": "there", "uri": uri}));
    let target = Path::new(answer["worktree"]["path"].as_str().unwrap()).join("d0/f3.txt");
    assert_eq!(answer["uri"], file_uri(&target), "{answer:#}");
    let shown = client.wait_method("window/showDocument");
    assert_eq!(shown["params"]["uri"], file_uri(&target), "Helix opens files only: {shown:#}");
    client.shutdown();
}

#[test]
fn a_selection_a_diagnostic_and_a_todo_have_actions() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let file = repo.write("a.rs", "// TODO: add a greeting\nfn main() { let x = 1; }\n");
    let mut client = environment.lsp(&repo).capabilities(Capabilities::helix()).start();
    let uri = client.open(&file, "rust");
    let mut titles = |line: u32, end: u32, diagnostics: Value| -> Vec<String> {
        let range = json!({"start": {"line": line, "character": 0}, "end": {"line": line, "character": end}});
        let params =
            json!({"textDocument": {"uri": uri}, "range": range, "context": {"diagnostics": diagnostics}});
        let actions = client.request("textDocument/codeAction", params);
        actions.as_array().unwrap().iter().map(|a| a["title"].as_str().unwrap().to_lowercase()).collect()
    };
    let todo = titles(0, 10, json!([]));
    assert!(todo.len() >= 2 && todo.iter().any(|t| t.contains("todo")), "{todo:?}");
    let range = json!({"start": {"line": 1, "character": 16}, "end": {"line": 1, "character": 17}});
    let diagnostic =
        json!([{"range": range, "message": "unused variable", "severity": 2, "source": "rustc"}]);
    let fix = titles(1, 24, diagnostic);
    for word in ["fix", "explain", "tests", "ask"] {
        assert!(fix.iter().any(|t| t.contains(word)), "{word} in {fix:?}");
    }
    assert!(
        !titles(1, 24, json!([])).iter().any(|t| t.contains("fix")),
        "nothing to fix without a diagnostic"
    );
    client.shutdown();
}

#[test]
fn a_todo_has_a_lens_that_starts_a_session() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let file = repo.write("a.rs", "fn a() {}\n// FIXME: wrong\n// nothing here\n    // TODO(ann): more\n");
    let mut client = environment.lsp(&repo).capabilities(Capabilities::vscode()).start();
    let uri = client.open(&file, "rust");
    let lenses = client.request("textDocument/codeLens", json!({"textDocument": {"uri": uri}}));
    let lines: Vec<u64> =
        lenses.as_array().unwrap().iter().map(|l| l["range"]["start"]["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [1, 3]);
    let resolved = client.request("codeLens/resolve", lenses[1].clone());
    assert_eq!(resolved["command"]["command"], "podium.session.start", "{resolved:#}");
    assert!(resolved["command"]["arguments"][0].to_string().contains("more"), "{resolved:#}");
    client.shutdown();
}

#[test]
fn a_file_in_somebody_elses_worktree_has_a_hint_that_follows_the_claim() {
    let environment = TestEnvironment::new();
    let (repo, path) = claimed(&environment);
    let client = environment.lsp(&path).capabilities(Capabilities::helix()).start();
    let uri = client.open(&path.join("d0/f0.txt"), "plaintext");
    let hint = hint_of(&client, &uri);
    assert!(hint[0]["message"].as_str().is_some_and(|m| m.contains("claude-1")), "{hint:#}");
    assert_eq!((&hint[0]["source"], &hint[0]["code"]), (&"podium".into(), &"claimed".into()));
    assert_eq!(hint[0]["range"]["start"]["line"], 0);

    environment.imi(["release", "feat-x", "--agent-id", "claude-1"]).within(&repo).ok();
    assert_eq!(hint_of(&client, &uri), json!([]), "free: nothing to tell");
    environment.imi(["claim", "feat-x", "--agent-id", "claude-2"]).within(&repo).ok();
    assert!(hint_of(&client, &uri)[0]["message"].as_str().is_some_and(|m| m.contains("claude-2")));
    client.notify("textDocument/didClose", json!({"textDocument": {"uri": uri}}));
    assert_eq!(hint_of(&client, &uri), json!([]), "a closed file has none");
    client.shutdown();
}

#[test]
fn a_symbol_query_with_a_hash_finds_artifacts() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let mut client = environment.lsp(&repo).capabilities(Capabilities::vscode()).start();
    let put =
        json!({"title": "Notes on lighthouses", "kind": "docs", "text": "The lamp of a lighthouse turns."});
    client.request("podium/artifact/put", put);
    let found = podium_harness::Poll::new(Duration::from_secs(10)).expect("the artifact is found", || {
        let symbols = client.request("workspace/symbol", json!({"query": "#lighthouse"}));
        symbols.get(0).cloned()
    });
    assert!(
        found["name"].as_str().is_some_and(|n| n.starts_with("#lighthouse") && n.contains("Notes")),
        "{found:#}"
    );
    let path = found["location"]["uri"].as_str().unwrap().strip_prefix("file://").unwrap().to_owned();
    assert!(fs::read_to_string(&path).unwrap().contains("turns"));
    let plain = client.request("workspace/symbol", json!({"query": "lighthouse"}));
    assert!(plain.is_null() || plain == json!([]), "other queries are other servers': {plain:#}");
    client.shutdown();
}

#[test]
fn a_stored_text_has_its_secrets_redacted() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let mut client = environment.lsp(&repo).capabilities(Capabilities::vscode()).start();
    let secret = format!("ghp_{}", "a1B2c3D4e5F6".repeat(3));
    let text = format!("log in with {secret} and go on");
    let stored =
        client.request("podium/artifact/put", json!({"title": "A log", "kind": "log", "text": text}));
    let content = client.request("podium/artifact/get", json!({"id": stored["id"]}));
    let shown = content["text"].as_str().unwrap();
    assert!(shown.starts_with("log in with [redacted:") && shown.ends_with(" and go on"), "{shown}");
    assert!(!fs::read_to_string(content["path"].as_str().unwrap()).unwrap().contains(&secret));
    client.shutdown();
}

#[test]
fn custom_notifications_go_only_to_clients_that_know_them() {
    let environment = TestEnvironment::new();
    let (repo, path) = claimed(&environment);
    let plain = environment.lsp(&path).capabilities(Capabilities::helix()).start();
    let podium = environment.lsp(&path).capabilities(Capabilities::vscode()).start();
    for client in [&plain, &podium] {
        client.open(&path.join("d0/f0.txt"), "plaintext");
    }
    podium.wait_for("whose worktree it is", |m| {
        m["method"] == "podium/status"
            && m["params"]["state"] == "other"
            && m["params"]["agentId"] == "claude-1"
    });
    environment.imi(["release", "feat-x", "--agent-id", "claude-1"]).within(&repo).ok();
    podium.wait_for("that it is free", |m| m["method"] == "podium/status" && m["params"]["state"] == "free");
    plain.wait_for("the same, as a hint", |m| {
        m["method"] == "textDocument/publishDiagnostics" && m["params"]["diagnostics"] == json!([])
    });
    assert!(plain.methods().iter().all(|method| !method.starts_with("podium/")), "{:?}", plain.methods());
    podium.shutdown();
    plain.shutdown();
}

#[test]
fn a_subscription_goes_on_without_a_gap_when_the_daemon_is_killed() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let mut client = environment.lsp(&repo).capabilities(Capabilities::vscode()).start();
    let subscribed =
        client.request("podium/events/subscribe", json!({"fromSeq": 0, "types": ["worktree.created"]}));
    let id = subscribed["subscription"].as_u64().unwrap();
    for round in 0..4 {
        environment.imi(["feat", &format!("n{round}")]).within(&repo).ok();
        if round < 3 {
            environment.kill_daemon();
        }
    }
    for round in 0..4 {
        let name = format!("feat-n{round}");
        client.wait_for(&name, |m| {
            m["method"] == "podium/event" && m["params"]["event"].to_string().contains(&name)
        });
    }
    let events = client.all("podium/event");
    assert!(events.iter().all(|m| m["params"]["subscription"] == id), "the subscription keeps its id");
    let seqs: Vec<u64> = events.iter().filter_map(|m| m["params"]["event"]["seq"].as_u64()).collect();
    assert!(
        seqs.windows(2).all(|pair| pair[0] < pair[1]) && seqs.len() == 4,
        "each once and in order: {seqs:?}"
    );
    client.shutdown();
}

#[test]
fn a_restart_of_the_daemon_costs_the_user_one_line() {
    let environment = TestEnvironment::new();
    let (repo, path) = claimed(&environment);
    let mut client = environment.lsp(&path).capabilities(Capabilities::helix()).start();
    let uri = client.open(&path.join("d0/f0.txt"), "plaintext");
    hint_of(&client, &uri);
    environment.kill_daemon();
    environment.imi(["release", "feat-x", "--agent-id", "claude-1"]).within(&repo).ok();
    assert_eq!(hint_of(&client, &uri), json!([]), "it noticed what happened meanwhile");
    assert!(client.command("podium.worktree.list", json!({}))["worktrees"].is_array());
    client.wait_method("window/showMessage");
    let lines = client.all("window/showMessage");
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert_eq!(lines[0]["params"]["type"], 3, "for information: {lines:#?}");
    client.shutdown();
}

#[test]
fn after_a_deliberate_stop_it_waits_for_a_command() {
    let environment = TestEnvironment::new();
    let (_repo, path) = claimed(&environment);
    let mut client = environment.lsp(&path).capabilities(Capabilities::helix()).start();
    let uri = client.open(&path.join("d0/f0.txt"), "plaintext");
    hint_of(&client, &uri);
    environment.podium(["daemon", "stop"]).ok();
    client.wait_for("that it was stopped", |m| {
        m["method"] == "window/showMessage"
            && m["params"]["message"].as_str().is_some_and(|t| t.contains("stopped"))
    });
    let params = json!({"textDocument": {"uri": uri}, "range": {"start": {"line": 0, "character": 0},
        "end": {"line": 0, "character": 3}}, "context": {"diagnostics": []}});
    let _ = client.request("textDocument/codeAction", params);
    assert!(environment.daemons().is_empty(), "moving the cursor starts nothing");
    assert!(client.command("podium.worktree.list", json!({}))["worktrees"].is_array(), "a command does");
    assert_eq!(environment.daemons().len(), 1);
    client.shutdown();
}

#[test]
fn initialize_does_not_wait_for_a_daemon() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let client = environment.lsp(&repo).start();
    assert!(client.initialize_took() < Duration::from_secs(2), "{:?}", client.initialize_took());
    client.shutdown();
}

#[test]
fn a_window_with_several_folders_keeps_repositories_apart() {
    let environment = TestEnvironment::new();
    let one = environment.repo_builder().name("one").files(2).build();
    let two = environment.repo_builder().name("two").files(2).build();
    let mut client = environment.lsp(&one).folder(&two).capabilities(Capabilities::vscode()).start();
    let uri = file_uri(&two.path().join("d0/f0.txt"));
    client.command("podium.worktree.create", json!({"type": "fix", "name": "x", "uri": uri}));
    assert!(two.git(["branch", "--list"]).contains("fix-x"));
    assert!(!one.git(["branch", "--list"]).contains("fix-x"));
    client.shutdown();
}

#[test]
fn in_a_folder_that_is_no_repository_it_stays_quiet() {
    let environment = TestEnvironment::new();
    let folder = environment.root().join("plain");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("a.txt");
    fs::write(&file, "TODO\n").unwrap();
    let mut client = environment.lsp(&folder).capabilities(Capabilities::helix()).start();
    client.open(&file, "plaintext");
    let params = json!({"command": "podium.worktree.list", "arguments": [{}]});
    let error = client.try_request("workspace/executeCommand", params).unwrap_err();
    assert!(error["message"].as_str().is_some_and(|m| m.contains("repository")), "{error:#}");
    assert!(client.all("textDocument/publishDiagnostics").is_empty());
    assert!(client.all("window/showMessage").is_empty(), "nobody asked");
    client.shutdown();
}
