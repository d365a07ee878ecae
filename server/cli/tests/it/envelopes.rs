use crate::bed::Bed;
use serde_json::json;

#[test]
fn usage_errors_are_envelopes_with_exit_2() {
    let bed = Bed::new();
    for line in [
        &["imi", "--json"][..],
        &["imi", "claim", "--json"],
        &["imi", "feat", "x", "--no-such-option", "--json"],
        &["jelmore", "--json", "sessions", "list", "--limit", "0"],
        &["jelmore", "start", "--json", "--prompt", ""],
        &["jelmore", "start", "--json", "--temperature", "7", "--prompt", "x"],
        &["podium", "--json", "nonsense"],
        &["podium", "imi", "claim", "--json"],
    ] {
        let (code, object) = bed.json(line);
        assert_eq!((code, &object["success"]), (2, &json!(false)), "{line:?} {object}");
        assert_eq!(object["error"]["kind"], "user", "{line:?}");
        assert!(!object["error"]["message"].as_str().unwrap().is_empty(), "{line:?}");
        assert!(!object["error"]["hints"].as_array().unwrap().is_empty(), "{line:?}");
    }
}

#[test]
fn usage_errors_for_people_go_to_standard_error() {
    let bed = Bed::new();
    let output = bed.run(&["imi", "claim"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    assert!(String::from_utf8(output.stderr).unwrap().contains("Usage: imi claim"));
}

#[test]
fn a_folder_that_is_not_there_is_not_found() {
    let bed = Bed::new();
    let (code, object) = bed.json(&["imi", "list", "--repo", "/no/such/folder", "--json"]);
    assert_eq!((code, &object["error"]["kind"]), (4, &json!("not_found")));
}

#[test]
fn verify_lock_answers_2_when_it_cannot_tell() {
    let bed = Bed::new();
    let (code, _) = bed.json(&["imi", "verify-lock", "x", "--repo", "/no/such/folder", "--json"]);
    assert_eq!(code, 2);
}

#[test]
fn without_a_daemon_status_is_unavailable_and_stop_has_nothing_to_do() {
    let bed = Bed::new();
    let (code, object) = bed.json(&["podium", "daemon", "status", "--json"]);
    assert_eq!((code, &object["error"]["kind"]), (5, &json!("unavailable")));
    let (code, object) = bed.json(&["podium", "daemon", "stop", "--json"]);
    assert_eq!((code, &object["data"]["pid"]), (0, &json!(null)));
    assert!(!bed.path("p/store/podium.db").exists(), "neither starts a daemon");
}

#[test]
fn the_short_status_is_empty_without_a_daemon() {
    let output = Bed::new().run(&["imi", "status", "--short"]);
    assert_eq!((output.status.code(), output.stdout.len(), output.stderr.len()), (Some(0), 0, 0));
}

#[test]
fn a_stream_that_cannot_begin_ends_in_a_line_of_type_end() {
    let (code, object) = Bed::new().json(&["podium", "daemon", "logs", "--json"]);
    assert_eq!((code, &object["type"], &object["success"]), (4, &json!("end"), &json!(false)));
}

#[test]
fn nothing_is_uninstalled_unasked() {
    let bed = Bed::new();
    let (code, object) = bed.json(&["podium", "uninstall", "--json"]);
    assert_eq!((code, &object["error"]["kind"]), (4, &json!("not_found")), "{object}");
}

#[test]
fn a_try_outside_a_repository_says_so_and_leaves_nothing() {
    let bed = Bed::new();
    std::fs::create_dir(bed.path("tmp")).unwrap();
    let output = bed.command(&["podium", "try", "--json"]).env("TMPDIR", bed.path("tmp")).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(std::fs::read_dir(bed.path("tmp")).unwrap().count(), 0);
}
