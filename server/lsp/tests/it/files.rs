//! Open documents whose files change on the disk.

use serde_json::{Value, json};

use crate::client::{LspClient, plain};
use crate::daemon::Daemon;

const EDIT: &str = "workspace/applyEdit";

fn editing() -> Value {
    json!({ "workspace": { "applyEdit": true, "workspaceEdit": { "documentChanges": true } } })
}

fn write(daemon: &Daemon, text: &str) {
    std::fs::write(daemon.folder.path().join("feat-a/a.txt"), text).unwrap();
}

fn changed(daemon: &Daemon) {
    daemon.with(|world| world.emit("worktree.changed"));
}

/// A document that was saved: the disk has what the editor has.
async fn saved(daemon: &Daemon, client: &mut LspClient, text: &str) -> String {
    let uri = daemon.uri("feat-a/a.txt");
    write(daemon, text);
    client.did_open(&uri, text).await;
    client.notify("textDocument/didSave", json!({ "textDocument": { "uri": uri } })).await;
    uri
}

#[tokio::test]
async fn a_document_without_unsaved_changes_becomes_what_the_disk_has() {
    let daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, editing()).await;
    let uri = saved(&daemon, &mut client, "one\ntwo\nthree\n").await;
    write(&daemon, "one\nzwei\nthree\n");
    changed(&daemon);
    let asked = client.answer(EDIT, json!({ "applied": true })).await;
    let range = json!({ "start": { "line": 1, "character": 0 }, "end": { "line": 2, "character": 0 } });
    let expected = json!([{
        "textDocument": { "uri": uri, "version": 1 }, "edits": [{ "range": range, "newText": "zwei\n" }],
    }]);
    assert_eq!(asked["edit"]["documentChanges"], expected, "{asked:#}");
    // The editor did so, and nothing of it is unsaved.
    let made = json!({ "textDocument": { "uri": uri, "version": 2 },
        "contentChanges": [{ "text": "one\nzwei\nthree\n" }] });
    client.notify("textDocument/didChange", made).await;
    write(&daemon, "");
    changed(&daemon);
    let asked = client.answer(EDIT, json!({ "applied": true })).await;
    assert_eq!(asked["edit"]["documentChanges"][0]["textDocument"]["version"], 2, "{asked:#}");
    client.leave().await;
}

#[tokio::test]
async fn of_unsaved_changes_the_person_is_told_once_and_they_stay() {
    let daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, editing()).await;
    let uri = saved(&daemon, &mut client, "one\n").await;
    let typed =
        json!({ "textDocument": { "uri": uri, "version": 2 }, "contentChanges": [{ "text": "mine\n" }] });
    client.notify("textDocument/didChange", typed).await;
    write(&daemon, "theirs, and longer\n");
    changed(&daemon);
    let told = client.notified("window/showMessage").await;
    let expected = "a.txt was changed on the disk while it has unsaved changes here. Yours are untouched";
    assert_eq!((&told["type"], &told["message"]), (&json!(2), &json!(expected)));
    changed(&daemon);
    write(&daemon, "theirs once more\n");
    changed(&daemon);
    client.notified("window/showMessage").await;
    client.nothing("window/showMessage").await;
    client.nothing(EDIT).await;
    client.leave().await;
}

#[tokio::test]
async fn an_editor_that_takes_no_edits_is_told() {
    let daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, plain()).await;
    saved(&daemon, &mut client, "one\n").await;
    write(&daemon, "another\n");
    changed(&daemon);
    let told = client.notified("window/showMessage").await;
    assert_eq!(told["message"], "a.txt was changed on the disk: read it again");
    client.leave().await;
}
