#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests, outside of test functions")]

mod changes;
mod discovery;
mod names;
mod oracle;
mod parsers;
mod private;
mod processes;
mod reads;
mod sharing;
#[cfg(unix)]
mod snapshots;
mod support;
mod trials;

#[test]
fn every_test_file_is_part_of_this_binary() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let main = include_str!("main.rs");
    for entry in here.read_dir().unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.strip_suffix(".rs").unwrap();
        assert!(module == "main" || main.contains(&format!("mod {module};")), "{name} is forgotten");
    }
}
