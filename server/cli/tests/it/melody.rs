#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

use std::fs;

use crate::bed::Bed;
use serde_json::json;

const SOUND: &str = "id = \"m\"\nname = \"M\"\nversion = \"1.0.0\"\n\n[[nodes]]\nid = \"a\"\nkind = \"operator\"\n\
                     uses = \"noop\"\n\n[[nodes]]\nid = \"b\"\nkind = \"operator\"\nuses = \"noop\"\n\n[[edges]]\n\
                     from = \"a.out\"\nto = \"b.in\"\n";

fn with(name: &str, text: &str) -> Bed {
    let bed = Bed::new();
    fs::write(bed.path("work").join(name), text).unwrap();
    bed
}

#[test]
fn a_sound_melody_is_valid_and_needs_no_daemon() {
    let bed = with("m.melody.toml", SOUND);
    let (code, object) = bed.json(&["podium", "melody", "validate", "m.melody.toml", "--json"]);
    assert_eq!((code, &object["success"]), (0, &json!(true)), "{object}");
    let data = &object["data"];
    assert_eq!((&data["valid"], &data["diagnostics"], &data["nodes"]), (&json!(true), &json!([]), &json!(2)));
    assert!((1..=10).contains(&data["complexity"].as_u64().unwrap()));
    assert!(!bed.path("p").exists(), "nothing of the daemon's was made");
}

#[test]
fn faults_have_code_node_and_range_and_exit_1() {
    let cycle = format!("{SOUND}\n[[edges]]\nfrom = \"b.out\"\nto = \"a.in\"\n");
    let bed = with("m.melody.toml", &cycle);
    let (code, object) = bed.json(&["podium", "melody", "validate", "m.melody.toml", "--json"]);
    assert_eq!((code, &object["success"]), (1, &json!(false)), "{object}");
    let found = &object["data"]["diagnostics"][0];
    assert_eq!((&found["code"], &found["node"]), (&json!("CycleDetected"), &json!("a")));
    assert_eq!(found["path"], json!(["a", "b", "a"]));
    assert_eq!(found["range"]["start"], json!({ "line": 19, "column": 1 }));
    let output = bed.run(&["podium", "melody", "validate", "m.melody.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("error[CycleDetected]") && text.contains("m.melody.toml:19:1"), "{text}");
}

#[test]
fn files_that_are_no_melodies_are_refused_by_kind() {
    let bed = with("m.yaml", SOUND);
    let validate = |name: &str| bed.json(&["podium", "melody", "validate", name, "--json"]);
    assert_eq!(validate("m.yaml").0, 2);
    assert_eq!(validate("none.melody.toml").0, 4);
    fs::write(bed.path("work/x.melody.toml"), [0xff, 0xfe]).unwrap();
    assert_eq!(validate("x.melody.toml").0, 1);
    let long = fs::File::create(bed.path("work/long.melody.toml")).unwrap();
    long.set_len(50 << 20).unwrap();
    let (code, object) = validate("long.melody.toml");
    assert_eq!((code, &object["data"]["diagnostics"][0]["code"]), (1, &json!("ResourceExceeded")));
}

#[test]
fn a_layout_is_checked_printed_and_written() {
    let bed = with("m.melody.toml", &SOUND.replace("name = \"M\"", "name=\"M\" # why"));
    let file = bed.path("work/m.melody.toml");
    let run = |line: &[&str]| bed.run(&[&["podium", "melody", "fmt"], line].concat());
    let check = run(&["--check", "m.melody.toml"]);
    assert_eq!((check.status.code(), check.stdout), (Some(1), b"m.melody.toml\n".to_vec()));
    let printed = String::from_utf8(run(&["m.melody.toml"]).stdout).unwrap();
    assert!(printed.contains("name = \"M\" # why\n"), "{printed}");
    assert!(fs::read_to_string(&file).unwrap().contains("name=\"M\""), "nothing was written");
    assert_eq!(run(&["--write", "m.melody.toml"]).status.code(), Some(0));
    assert_eq!(fs::read_to_string(&file).unwrap(), printed);
    assert_eq!(run(&["--check", "m.melody.toml"]).status.code(), Some(0));
}

#[test]
fn a_melody_is_drawn_shown_and_listed() {
    let bed = with("m.melody.toml", SOUND);
    fs::create_dir_all(bed.path("work/.git")).unwrap();
    fs::create_dir_all(bed.path("work/flows")).unwrap();
    fs::write(bed.path("work/flows/bad.melody.json"), "{ \"id\": ").unwrap();
    assert_eq!(
        bed.run(&["podium", "melody", "graph", "m.melody.toml", "-o", "m.svg"]).status.code(),
        Some(0)
    );
    let svg = fs::read_to_string(bed.path("work/m.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.matches("class=\"box").count() == 2, "{svg}");
    let dot = bed.run(&["podium", "melody", "graph", "m.melody.toml", "--format", "dot"]).stdout;
    assert!(String::from_utf8(dot).unwrap().contains("\"a\" -> \"b\""));
    let (_, object) = bed.json(&["podium", "melody", "show", "m.melody.toml", "--json"]);
    assert_eq!(
        (&object["data"]["life"], &object["data"]["melody"]["edges"][0]["to"]),
        (&json!("ready"), &json!("b.in"))
    );
    let (_, object) = bed.json(&["podium", "melody", "list", "--json", "--repo", "flows"]);
    let listed = object["data"]["melodies"].as_array().unwrap();
    let listed: Vec<_> =
        listed.iter().map(|one| (one["path"].as_str().unwrap(), one["valid"].as_bool().unwrap())).collect();
    assert_eq!(listed, [("flows/bad.melody.json", false), ("m.melody.toml", true)]);
}

#[test]
fn what_cannot_run_is_not_saved() {
    let bed = with("m.melody.toml", &SOUND.replace("b.in", "c.in"));
    let (code, object) = bed.json(&["podium", "melody", "save", "m.melody.toml", "--json"]);
    assert_eq!((code, &object["error"]["kind"]), (1, &json!("user")), "{object}");
    assert!(!bed.path("p").exists());
}
