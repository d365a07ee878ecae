use crate::bed::Bed;
use std::io::Read;
use std::process::Stdio;

#[test]
fn every_binary_prints_completions() {
    let bed = Bed::new();
    for name in ["podium", "imi", "jelmore", "bb"] {
        for shell in ["bash", "zsh", "fish"] {
            let output = bed.run(&[name, "completions", shell]);
            assert!(output.status.success() && output.stdout.len() > 500, "{name} {shell}");
        }
    }
}

#[test]
fn help_and_version_need_nothing() {
    let bed = Bed::new();
    for line in [
        &["podium", "--help"][..],
        &["imi", "feat", "--help"],
        &["jelmore", "--version"],
        &["podium", "try", "-h"],
    ] {
        assert!(bed.run(line).status.success(), "{line:?}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let bed = Bed::new();
    let mut child = bed
        .command(&["podium", "completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
}

#[test]
fn colours_are_for_terminals_only() {
    let output = Bed::new().run(&["imi", "list", "--repo", "/no/such/folder"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("error: no folder") && !said.contains('\u{1b}'), "{said}");
}
