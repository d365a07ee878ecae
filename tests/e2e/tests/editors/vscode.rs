//! VS Code in a browser, with the extension as it is shipped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use podium_harness::messages::Messages;
use podium_harness::{TestEnvironment, ToolPaths, checkout, screenshots};
use serde_json::{Map, Value, json};

#[test]
fn vscode_does_the_main_job() {
    let tools = ToolPaths::load();
    let node = tools.get("node");
    let vsix = packaged(&node);
    let environment = TestEnvironment::with_model();
    environment.podium(["config", "set", "permission", super::agent::RULES]).ok();
    let repo = environment.repo();
    // Short: the document of a session about it stays on one screen.
    repo.write("hello.txt", "Hello, lighthouse.\n");
    repo.write("poem.txt", &super::agent::POEM);
    repo.commit("hello");
    repo.git(["push", "-q"]);
    repo.git(["push", "-q", "origin", "HEAD:refs/pull/7/head"]);
    let model = super::agent::model("poem.txt");
    let options = environment.root().join("options.json");
    let given = json!({
        "codeServerEntry": tools.get("code_server_entry"),
        "node": node,
        "chromium": tools.get("chromium"),
        "playwrightCore": tools.get("playwright_core"),
        "vsix": vsix,
        "workspace": repo.path(),
        "env": variables(&environment, &node, &model),
        "screenshotDir": screenshots(),
        "file": "hello.txt",
        // Long enough to be killed in mid-answer.
        "prompt": "Write a long story about a lighthouse and the sea",
        "killDaemon": true,
        "agent": { "provider": "anthropic", "file": "poem.txt", "request": 7, "review": true },
    });
    fs::write(&options, given.to_string()).unwrap();
    let mut drive = environment
        .program(&node)
        .arg(checkout().join("tests/e2e/vscode/run.mjs"))
        .arg(format!("@{}", options.display()))
        .within(&repo)
        .spawn(|command| {
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::inherit());
        });
    let lines = read_lines(drive.stdout.take().unwrap());
    let status = drive.wait().unwrap();
    let end = lines.last().cloned().unwrap_or_default();
    assert!(status.success() && end["type"] == "end" && end["ok"] == true, "{lines:#?}");
    let pictures: Vec<PathBuf> =
        lines.iter().filter_map(|line| line["screenshot"].as_str()).map(PathBuf::from).collect();
    assert!(!pictures.is_empty() && pictures.iter().all(|picture| picture.is_file()), "{pictures:?}");
}

fn read_lines(output: impl std::io::Read) -> Vec<Value> {
    use std::io::BufRead as _;
    let lines = std::io::BufReader::new(output).lines().map_while(Result::ok);
    lines
        .map(|line| {
            println!("{line}");
            serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))
        })
        .collect()
}

fn variables(environment: &TestEnvironment, node: &Path, model: &Messages) -> Map<String, Value> {
    let mut vars: Map<String, Value> = environment
        .vars()
        .iter()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into()))
        .collect();
    let path = vars["PATH"].as_str().unwrap_or_default();
    vars["PATH"] = format!("{path}:{}", node.parent().unwrap().display()).into();
    vars.extend(super::agent::variables(model).map(|(name, value)| (name.to_owned(), value.into())));
    vars
}

/// The packaged extension, made in a copy so that nothing of the checkout changes, and kept until a source is newer.
fn packaged(node: &Path) -> PathBuf {
    let source = checkout().join("editors/vscode");
    let folder = checkout().join("target/vscode-extension");
    let vsix = folder.join("podium.vsix");
    let made = fs::metadata(&vsix).and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    if newest(&source) < made {
        return vsix;
    }
    let copy = folder.join("source");
    let _ = fs::remove_dir_all(&copy);
    copy_sources(&source, &copy);
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", node.parent().unwrap().display());
    for words in [
        &["npm", "ci", "--no-audit", "--no-fund"][..],
        &["npm", "run", "package", "--", vsix.to_str().unwrap()],
    ] {
        let done =
            Command::new(words[0]).args(&words[1..]).current_dir(&copy).env("PATH", &path).output().unwrap();
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(done.status.success(), "{words:?}: {}{}", said(&done.stdout), said(&done.stderr));
    }
    assert!(vsix.is_file(), "`npm run package` writes {}", vsix.display());
    vsix
}

fn is_source(name: &str) -> bool {
    !matches!(name, "node_modules" | "dist") && !name.ends_with(".vsix")
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_source))
}

fn newest(folder: &Path) -> SystemTime {
    let times = entries(folder).map(|path| {
        if path.is_dir() { newest(&path) } else { fs::metadata(&path).unwrap().modified().unwrap() }
    });
    times.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

fn copy_sources(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in entries(from) {
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_sources(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}
