//! One inbox for all editors and terminals.

use podium_harness::{Capabilities, TestEnvironment};
use serde_json::{Value, json};

const ASK: &str = "window/showMessageRequest";

#[test]
fn a_question_reaches_every_editor_outlives_a_killed_daemon_and_is_answered_once() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let editor = || environment.lsp(&repo).capabilities(Capabilities::helix()).start();
    let (first, second) = (editor(), editor());
    let mut watching = environment.jelmore(["inbox", "--watch"]).lines();
    // Both look at the question until the other one's answer comes; neither chooses.
    let asked = environment.jelmore(["inbox", "ask", "May I push?", "--agent-id", "claude-1"]).data();
    let id = asked["item"]["id"].as_str().unwrap().to_owned();
    for editor in [&first, &second] {
        let shown = editor.wait_method(ASK);
        assert_eq!(shown["params"]["message"], "claude-1 asks: May I push?", "{shown:#}");
        let titles: Vec<&Value> =
            shown["params"]["actions"].as_array().unwrap().iter().map(|a| &a["title"]).collect();
        assert_eq!(titles, ["Allow", "Deny"]);
    }
    assert_eq!(watching.read_type("asked")["item"]["id"], id.as_str());
    environment.kill_daemon();
    let open = environment.jelmore(["inbox"]).data();
    assert_eq!(open["items"][0]["id"], id.as_str(), "{open:#}");
    let answered = environment.jelmore(["inbox", "answer", &id, "allow"]).data();
    assert_eq!(
        (&answered["item"]["decision"], &answered["item"]["scope"]),
        (&json!("allow"), &json!("once"))
    );
    let by = answered["item"]["answeredBy"].as_str().unwrap();
    assert!(by.starts_with("person:"), "{by}");
    let (code, late) = environment.jelmore(["inbox", "answer", &id, "deny"]).envelope();
    assert_eq!(code, 3);
    let told = late["error"]["message"].as_str().unwrap();
    assert!(told.ends_with(&format!("was answered already: allow by {by}")), "{told}");
    assert_eq!(watching.read_type("answered")["item"]["decision"], "allow");
    assert_eq!(environment.jelmore(["inbox"]).data()["items"], json!([]));
    for editor in [first, second] {
        let _ = editor.all("window/showMessage");
        editor.shutdown();
    }
}

#[test]
fn an_editor_that_answers_decides_for_all() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let editor = environment.lsp(&repo).capabilities(Capabilities::helix()).start();
    editor.reply_next(ASK, json!({"title": "Deny"}));
    // It waits for the answer and says by its exit what it was.
    let (code, told) =
        environment.jelmore(["inbox", "ask", "May I?", "--agent-id", "claude-1", "--wait"]).envelope();
    assert_eq!((code, &told["data"]["item"]["decision"]), (1, &json!("deny")), "{told:#}");
    let all = environment.jelmore(["inbox", "--all"]).data();
    assert_eq!(all["items"][0]["decision"], "deny", "{all:#}");
    editor.wait_method(ASK);
    editor.shutdown();
}

#[test]
fn a_plain_question_is_answered_for_itself_only() {
    let environment = TestEnvironment::new();
    let asked = environment.jelmore(["inbox", "ask", "May I?", "--agent-id", "a"]).data();
    let id = asked["item"]["id"].as_str().unwrap();
    let (code, refused) =
        environment.jelmore(["inbox", "answer", id, "allow", "--scope", "project"]).envelope();
    assert_eq!((code, &refused["error"]["kind"]), (2, &json!("user")), "{refused:#}");
    assert_eq!(environment.jelmore(["inbox", "show", id]).data()["item"]["decision"], Value::Null);
    assert_eq!(environment.jelmore(["inbox", "rules"]).data()["permissions"], json!([]));
    environment.jelmore(["inbox", "forget", "nothing"]).fails(4);
}

#[test]
fn rules_are_written_to_the_persons_configuration_and_checked() {
    let environment = TestEnvironment::new();
    let rules = r#"[{"tool":"run_command","command":"cargo *","decision":"allow"}]"#;
    environment.podium(["config", "set", "permission", rules]).ok();
    let file = std::fs::read_to_string(environment.home().config_file()).unwrap();
    assert!(file.contains("[[permission]]") && file.contains("command = \"cargo *\""), "{file}");
    let (code, refused) = environment.podium(["config", "set", "permission", r#"[{"tool":"x"}]"#]).envelope();
    assert_eq!(code, 2, "{refused:#}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("needs `decision`"), "{refused:#}");
}
