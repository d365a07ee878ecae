//! Neovim with the plugin, from opening a file to a session that survives the daemon.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use podium_harness::{TestEnvironment, ToolPaths, binary, checkout};
use serde_json::Value;

/// Steps that the script has to report.
const STEPS: [&str; 7] = ["open", "create", "claim", "session", "attach", "kill", "clean up"];

#[test]
fn neovim_does_the_main_job() {
    let environment = TestEnvironment::with_model();
    let repo = environment.repo();
    let scripts = checkout().join("tests/e2e/neovim");
    let out = environment.root().join("result.json");
    let drive = format!("luafile {}", scripts.join("drive.lua").display());
    let run = environment
        .program(ToolPaths::load().get("nvim"))
        .args(["--headless", "--clean", "-u"])
        .arg(scripts.join("init.lua"))
        .args(["-c", &drive])
        .within(&repo)
        .var("PODIUM_NVIM_PLUGIN", checkout().join("editors/neovim"))
        .var("PODIUM_BIN", binary("podium"))
        .var("PODIUM_E2E_IMI", binary("imi"))
        .var("PODIUM_E2E_WORKSPACE", repo.path())
        .var("PODIUM_E2E_FILE", "d0/f0.txt")
        .var("PODIUM_E2E_OUT", &out)
        .var("PODIUM_E2E_KILL_DAEMON", "1")
        .timeout(Duration::from_secs(280))
        .run();
    let text = fs::read_to_string(&out).unwrap_or_else(|e| panic!("no result: {e}: {run:#?}"));
    let result: Value = serde_json::from_str(&text).unwrap();
    assert!(run.code == Some(0) && result["ok"] == true, "{result:#}\n{}", run.stderr);
    let steps: Vec<&str> =
        result["steps"].as_array().unwrap().iter().filter_map(|step| step["name"].as_str()).collect();
    for step in STEPS {
        assert!(steps.contains(&step), "{step} in {steps:?}");
    }
    println!("{:#}", result["steps"]);
}

#[test]
fn neovim_shows_the_line_that_another_worktree_changes_and_clears_it() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let text = "1\n2\n3\n4\n5\n6\n7\n8\n";
    repo.write("lines.txt", text);
    repo.commit("lines");
    repo.git(["push", "-q"]);
    let change = |name: &str| {
        let made = environment.imi(["feat", name]).within(&repo).data();
        let file = PathBuf::from(made["worktree"]["path"].as_str().unwrap()).join("lines.txt");
        fs::write(&file, text.replace('5', name)).unwrap();
        file
    };
    let (file, other) = (change("mine"), change("theirs"));
    let scripts = checkout().join("tests/e2e/neovim");
    let out = environment.root().join("result.json");
    let drive = format!("luafile {}", scripts.join("radar.lua").display());
    let run = environment
        .program(ToolPaths::load().get("nvim"))
        .args(["--headless", "--clean", "-u"])
        .arg(scripts.join("init.lua"))
        .args(["-c", &drive])
        .within(&repo)
        .var("PODIUM_NVIM_PLUGIN", checkout().join("editors/neovim"))
        .var("PODIUM_BIN", binary("podium"))
        .var("PODIUM_E2E_FILE", &file)
        .var("PODIUM_E2E_OTHER", &other)
        .var("PODIUM_E2E_TEXT", text)
        .var("PODIUM_E2E_OUT", &out)
        .timeout(Duration::from_secs(180))
        .run();
    let result = fs::read_to_string(&out).unwrap_or_else(|e| panic!("no result: {e}: {run:#?}"));
    let shown: Value = serde_json::from_str(&result).unwrap();
    let expected = serde_json::json!({
        "line": 4, "message": "feat-theirs changes these lines too", "severity": 2,
    });
    assert_eq!(shown, expected, "{}", run.stderr);
}

#[test]
fn neovim_answers_an_agent_takes_one_of_its_changes_back_and_goes_on_with_it() {
    let environment = TestEnvironment::new();
    environment.podium(["config", "set", "permission", super::agent::RULES]).ok();
    let repo = environment.repo();
    repo.write("poem.txt", &super::agent::POEM);
    repo.commit("poem");
    repo.git(["push", "-q"]);
    let made = environment.imi(["feat", "agent"]).within(&repo).data();
    let file = PathBuf::from(made["worktree"]["path"].as_str().unwrap()).join("poem.txt");
    let model = super::agent::model("poem.txt");
    let scripts = checkout().join("tests/e2e/neovim");
    let out = environment.root().join("result.json");
    let drive = format!("luafile {}", scripts.join("agent.lua").display());
    let mut nvim = environment
        .program(ToolPaths::load().get("nvim"))
        .args(["--headless", "--clean", "-u"])
        .arg(scripts.join("init.lua"))
        .args(["-c", &drive])
        .within(&repo)
        .var("PODIUM_NVIM_PLUGIN", checkout().join("editors/neovim"))
        .var("PODIUM_BIN", binary("podium"))
        .var("PODIUM_E2E_FILE", &file)
        .var("PODIUM_E2E_REVIEW", "1")
        .var("PODIUM_E2E_OUT", &out)
        .timeout(Duration::from_secs(180));
    for (name, value) in super::agent::variables(&model) {
        nvim = nvim.var(name, value);
    }
    let run = nvim.run();
    let result = fs::read_to_string(&out).unwrap_or_else(|e| panic!("no result: {e}: {run:#?}"));
    let shown: Value = serde_json::from_str(&result).unwrap();
    let expected: Vec<String> =
        (1..=20).map(|line| if line == 19 { "neunzehn".to_owned() } else { line.to_string() }).collect();
    assert_eq!(shown["file"], serde_json::json!(expected), "{shown:#}");
    let asked = model.asked();
    assert_eq!(asked.len(), 4, "{asked:#?}");
    println!("{shown:#}");
}

#[test]
fn the_plugin_does_what_its_specs_say() {
    let environment = TestEnvironment::new();
    let scripts = checkout().join("tests/e2e/neovim");
    let unit = format!("luafile {}", scripts.join("unit.lua").display());
    let mut nvim = environment
        .program(ToolPaths::load().get("nvim"))
        .args(["--headless", "--clean", "-u"])
        .arg(scripts.join("init.lua"))
        .args(["-c", &unit])
        .within(checkout())
        .spawn(|command| {
            command.stdout(Stdio::inherit()).stderr(Stdio::inherit());
        });
    let status = podium_harness::Poll::new(Duration::from_secs(120))
        .expect("the specs end", || nvim.try_wait().unwrap());
    assert!(status.success(), "{status}");
}
