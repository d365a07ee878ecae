//! Runs of plans, the pool and the arbiter, from the outside.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failing test panics")]

mod arbitration;
mod bed;
mod clock;
mod control;
mod errors;
mod faults;
mod local_models;
mod melodies;
mod order;
mod pool;
mod pool_budget;
mod resume;
mod safety;
mod shelf;

#[test]
fn no_file_of_tests_is_forgotten() {
    let main = include_str!("main.rs");
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it")).unwrap();
    for file in files {
        let name = file.unwrap().file_name().into_string().unwrap();
        let Some(module) = name.strip_suffix(".rs") else { continue };
        assert!(module == "main" || main.contains(&format!("mod {module};")), "{name}");
    }
}
