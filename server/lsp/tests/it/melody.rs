//! Melody documents in an editor.

use serde_json::{Value, json};

use crate::client::{LspClient, plain};
use crate::daemon::Daemon;

const HEAD: &str = "id = \"m\"\nversion = \"1.0.0\"\n";
const SOUND: &str = r#"id = "m"
version = "1.0.0"

[inputs.topic]
type = "text"

[[nodes]]
id = "ask"
kind = "instrument"
uses = "local"
params = { prompt = "On {{topic}}." }

[[nodes]]
id = "save"
kind = "operator"
uses = "files.write"
params = { path = "out.txt" }

[[edges]]
from = "ask.text"
to = "save.content"
"#;

/// A client with an open melody; `|` marks the position that is asked about.
async fn open(daemon: &Daemon, name: &str, text: &str) -> (LspClient, Value) {
    let mut client = LspClient::open(daemon, plain()).await;
    let uri = daemon.uri(&format!("feat-a/{name}"));
    let at = text.find('|').unwrap_or(text.len());
    let before = &text[..at];
    let line = before.matches('\n').count();
    let character = before[before.rfind('\n').map_or(0, |at| at + 1)..].encode_utf16().count();
    client.did_open(&uri, &text.replacen('|', "", 1)).await;
    let place =
        json!({ "textDocument": { "uri": uri }, "position": { "line": line, "character": character } });
    (client, place)
}

async fn completed(name: &str, text: &str) -> Vec<(String, String)> {
    let daemon = Daemon::running();
    let (mut client, place) = open(&daemon, name, text).await;
    let items = client.request("textDocument/completion", place).await.unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let found = items
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (text(&item["label"]), text(&item["textEdit"]["newText"])));
    let found = found.collect();
    client.forget("textDocument/publishDiagnostics");
    client.request("shutdown", Value::Null).await.unwrap();
    client.forget("textDocument/publishDiagnostics");
    found
}

fn labels(found: &[(String, String)]) -> Vec<&str> {
    found.iter().map(|(label, _)| label.as_str()).collect()
}

#[tokio::test]
async fn faults_show_as_they_are_typed_and_go_with_the_document() {
    let daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, plain()).await;
    let uri = daemon.uri("feat-a/x.melody.toml");
    client.did_open(&uri, &SOUND.replace("\"local\"", "\"lcoal\"")).await;
    let shown = client.notified("textDocument/publishDiagnostics").await;
    let [found] = &shown["diagnostics"].as_array().unwrap()[..] else { panic!("{shown}") };
    assert_eq!((&found["code"], &found["source"]), (&json!("UnknownInstrument"), &json!("podium")));
    assert!(found["message"].as_str().unwrap().contains("did you mean `local`?"));
    assert_eq!(
        found["range"],
        json!({ "start": { "line": 9, "character": 7 }, "end": { "line": 9, "character": 14 } })
    );
    let change = json!({ "text": SOUND });
    let document = json!({ "uri": uri, "version": 2 });
    client
        .notify("textDocument/didChange", json!({ "textDocument": document, "contentChanges": [change] }))
        .await;
    assert_eq!(client.notified("textDocument/publishDiagnostics").await["diagnostics"], json!([]));
    let broken = json!({ "text": "id = " });
    let document = json!({ "uri": uri, "version": 3 });
    client
        .notify("textDocument/didChange", json!({ "textDocument": document, "contentChanges": [broken] }))
        .await;
    let shown = client.notified("textDocument/publishDiagnostics").await;
    let codes: Vec<&str> =
        shown["diagnostics"].as_array().unwrap().iter().filter_map(|fault| fault["code"].as_str()).collect();
    assert!(codes.contains(&"Syntax"), "{shown}");
    client.notify("textDocument/didClose", json!({ "textDocument": { "uri": uri } })).await;
    assert_eq!(client.notified("textDocument/publishDiagnostics").await["diagnostics"], json!([]));
    client.leave().await;
}

#[tokio::test]
async fn kinds_names_params_and_ports_are_completed() {
    let node = format!("{HEAD}[[nodes]]\nid = \"a\"\n");
    let found = completed("x.melody.toml", &format!("{node}kind = \"|\"\n")).await;
    assert_eq!(labels(&found), ["instrument", "operator", "control", "input", "output"]);
    let found = completed("x.melody.toml", &format!("{node}kind = \"operator\"\nuses = |")).await;
    assert!(found.contains(&("files.write".into(), "\"files.write\"".into())), "{found:?}");
    assert!(!labels(&found).contains(&"local"), "an operator is no instrument");
    let found =
        completed("x.melody.toml", &format!("{node}kind = \"operator\"\nuses = \"shell\"\nparams = {{ |"))
            .await;
    assert_eq!(found[0], ("command".to_owned(), "command = ".to_owned()));
    let found = completed("x.melody.toml", &SOUND.replace("On {{topic}}", "On {{|")).await;
    assert_eq!(labels(&found), ["topic"]);
    let found = completed("x.melody.toml", &SOUND.replace("\"ask.text\"", "\"|\"")).await;
    assert_eq!(labels(&found), ["ask", "save"]);
    let found = completed("x.melody.toml", &SOUND.replace("\"ask.text\"", "\"ask.|\"")).await;
    assert_eq!(labels(&found), ["text", "session", "usage", "done"]);
    let found = completed("x.melody.json", "{ \"nodes\": [{ \"kind\": \"control\", \"uses\": \"|").await;
    assert!(labels(&found).contains(&"map") && !labels(&found).contains(&"shell"), "{found:?}");
}

#[tokio::test]
async fn a_hover_tells_what_a_node_takes_and_gives() {
    let daemon = Daemon::running();
    let (mut client, place) =
        open(&daemon, "x.melody.toml", &SOUND.replace("\"save.content\"", "\"sa|ve.content\"")).await;
    let hover = client.request("textDocument/hover", place.clone()).await.unwrap();
    let text = hover["contents"]["value"].as_str().unwrap();
    assert!(
        text.contains("**save**: operator `files.write`") && text.contains("takes `content`: text"),
        "{text}"
    );
    let mut at = place;
    at["position"] = json!({ "line": 10, "character": 12 });
    let hover = client.request("textDocument/hover", at).await.unwrap();
    assert!(hover["contents"]["value"].as_str().unwrap().contains("What is asked."), "{hover}");
    client.leave().await;
}

#[tokio::test]
async fn a_node_is_found_and_renamed_with_all_its_edges() {
    let daemon = Daemon::running();
    let text = SOUND.replace("\"ask.text\"", "\"a|sk.text\"");
    let (mut client, place) = open(&daemon, "x.melody.toml", &text).await;
    let made = client.request("textDocument/definition", place.clone()).await.unwrap();
    assert_eq!(made["range"]["start"], json!({ "line": 7, "character": 6 }));
    let mut asked = place.clone();
    asked["context"] = json!({ "includeDeclaration": true });
    let used = client.request("textDocument/references", asked).await.unwrap();
    let lines: Vec<_> =
        used.as_array().unwrap().iter().map(|place| place["range"]["start"]["line"].as_u64()).collect();
    assert_eq!(lines, [Some(7), Some(19)]);
    let mut wanted = place.clone();
    wanted["newName"] = json!("question");
    let edit = client.request("textDocument/rename", wanted.clone()).await.unwrap();
    let edits = edit["changes"][place["textDocument"]["uri"].as_str().unwrap()].as_array().unwrap().clone();
    assert_eq!(edits.len(), 2);
    assert!(edits.iter().all(|edit| edit["newText"] == "question"));
    for taken in ["save", "a b", ""] {
        wanted["newName"] = json!(taken);
        assert!(client.request("textDocument/rename", wanted.clone()).await.is_err(), "{taken}");
    }
    client.leave().await;
}

#[tokio::test]
async fn an_input_is_renamed_with_the_templates_that_name_it() {
    let daemon = Daemon::running();
    let (mut client, mut place) =
        open(&daemon, "x.melody.toml", &SOUND.replace("{{topic}}", "{{to|pic}}")).await;
    place["newName"] = json!("theme");
    let edit = client.request("textDocument/rename", place.clone()).await.unwrap();
    let edits = edit["changes"][place["textDocument"]["uri"].as_str().unwrap()].as_array().unwrap().clone();
    let starts: Vec<_> = edits.iter().map(|edit| edit["range"]["start"].clone()).collect();
    assert_eq!(starts, [json!({ "line": 3, "character": 8 }), json!({ "line": 10, "character": 26 })]);
    client.leave().await;
}

#[tokio::test]
async fn symbols_folds_layout_and_lenses_are_there() {
    let daemon = Daemon::running();
    let (mut client, place) =
        open(&daemon, "x.melody.toml", &SOUND.replace("kind = \"operator\"", "kind=\"operator\"")).await;
    let document = json!({ "textDocument": place["textDocument"] });
    let symbols = client.request("textDocument/documentSymbol", document.clone()).await.unwrap();
    let names: Vec<_> =
        symbols.as_array().unwrap().iter().map(|symbol| symbol["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["topic", "ask", "save"]);
    let folds = client.request("textDocument/foldingRange", document.clone()).await.unwrap();
    assert!(
        folds
            .as_array()
            .unwrap()
            .iter()
            .any(|fold| (&fold["startLine"], &fold["endLine"]) == (&json!(6), &json!(10)))
    );
    let mut asked = document.clone();
    asked["options"] = json!({ "tabSize": 2, "insertSpaces": true });
    let edits = client.request("textDocument/formatting", asked).await.unwrap();
    assert_eq!(edits[0]["newText"], "kind = \"operator\"\n");
    let lenses = client.request("textDocument/codeLens", document).await.unwrap();
    let validate = lenses
        .as_array()
        .unwrap()
        .iter()
        .find(|lens| lens["command"]["title"] == "Validate")
        .unwrap()
        .clone();
    let arguments = validate["command"]["arguments"].clone();
    let answer = client.command("podium.melody.validate", arguments).await.unwrap();
    assert_eq!((&answer["valid"], &answer["diagnostics"]), (&json!(true), &json!([])));
    assert!(
        client.notified("window/showMessage").await["message"]
            .as_str()
            .unwrap()
            .starts_with("The melody is ready")
    );
    client.leave().await;
}

#[tokio::test]
async fn other_documents_have_no_answers_of_melodies() {
    let daemon = Daemon::running();
    let (mut client, place) = open(&daemon, "Cargo.toml", "[package]\n|").await;
    for method in ["textDocument/completion", "textDocument/hover", "textDocument/definition"] {
        assert_eq!(client.request(method, place.clone()).await.unwrap(), Value::Null, "{method}");
    }
    let missing = json!([{ "uri": daemon.uri("feat-a/none.melody.toml") }]);
    let error = client.command("podium.melody.validate", missing).await.unwrap_err();
    assert_eq!(error["data"]["kind"], "not_found");
    client.leave().await;
}

#[tokio::test]
async fn a_client_that_can_be_told_later_is_told_for_melody_files_alone() {
    let daemon = Daemon::running();
    let mut client = LspClient::connect(&daemon, None);
    let later = json!({ "dynamicRegistration": true });
    let capabilities = json!({ "textDocument": { "formatting": later, "completion": later, "hover": {} }, "experimental": { "podium": true } });
    let answer = client.initialize(&daemon, capabilities).await;
    let capabilities = &answer["capabilities"];
    assert_eq!(
        (&capabilities["hoverProvider"], &capabilities["renameProvider"]["prepareProvider"]),
        (&json!(true), &json!(true))
    );
    assert!(
        capabilities.get("documentFormattingProvider").is_none()
            && capabilities.get("completionProvider").is_none()
    );
    let told = client.answer("client/registerCapability", Value::Null).await;
    let told = told["registrations"].as_array().unwrap();
    let methods: Vec<_> = told.iter().map(|one| one["method"].as_str().unwrap()).collect();
    assert_eq!(methods, ["textDocument/completion", "textDocument/formatting"]);
    for one in told {
        assert_eq!(one["registerOptions"]["documentSelector"][0]["pattern"], "**/*.melody.toml");
    }
    client.forget("podium/status");
    client.request("shutdown", Value::Null).await.unwrap();
    client.forget("podium/status");
}
