//! One session of each kind of provider, with an answer that is known and comes in many small pieces.

use std::fs;
use std::time::Duration;

use podium_harness::streaming::{Streaming, Telling};
use podium_harness::{Invocation, JsonLines, TestEnvironment, ToolPaths, checkout};

/// Where agents note what they said; its variable tells them from others' processes.
pub(super) const FOLDER: &str = "of-agent";
const PIECES: usize = 800;
const EVERY: Duration = Duration::from_millis(4);

/// What is asked of whom, and what it answers.
pub(super) struct Told {
    pub(super) provider: &'static str,
    pub(super) vars: Vec<(&'static str, String)>,
    pub(super) expected: String,
    prompt: String,
}

impl Told {
    pub(super) fn start(&self, environment: &TestEnvironment) -> JsonLines {
        self.jelmore(environment, &["start", self.provider, "--prompt", &self.prompt]).lines()
    }

    pub(super) fn resume(&self, environment: &TestEnvironment, id: &str, seen: u64) -> JsonLines {
        let seen = seen.to_string();
        self.jelmore(environment, &["sessions", "resume", id, "--from-seq", &seen]).lines()
    }

    fn jelmore<'a>(&self, environment: &'a TestEnvironment, words: &[&str]) -> Invocation<'a> {
        let run = environment.jelmore(words);
        self.vars.iter().fold(run, |run, (name, value)| run.var(name, value))
    }
}

/// Words begin with the space before them, as those of models do, and have characters of several bytes.
fn server() -> Streaming {
    let pieces = (0..PIECES).map(|n| format!("{}line {n} of ä€𝄞", if n == 0 { "" } else { "\n" })).collect();
    Streaming::start(Telling { pieces, every: EVERY, silent_behind: None })
}

pub(super) fn anthropic(_: &TestEnvironment) -> Told {
    let server = server();
    Told {
        provider: "anthropic",
        vars: vec![
            ("ANTHROPIC_API_KEY", "sk-ant-test-0123456789".to_owned()),
            ("ANTHROPIC_BASE_URL", server.url().to_owned()),
        ],
        expected: server.whole().to_owned(),
        prompt: "tell".to_owned(),
    }
}

pub(super) fn openai(_: &TestEnvironment) -> Told {
    let server = server();
    Told {
        provider: "openai",
        vars: vec![("OPENAI_BASE_URL", format!("{}/v1", server.url()))],
        expected: server.whole().to_owned(),
        prompt: "tell".to_owned(),
    }
}

fn lines(count: usize) -> String {
    (0..count).map(|n| format!("line {n} of ä€𝄞\n")).collect()
}

fn configure(environment: &TestEnvironment, agent: &str) {
    fs::create_dir_all(environment.home().root()).unwrap();
    fs::write(environment.home().config_file(), format!("[sessions]\nagents = [{agent:?}]\n")).unwrap();
}

pub(super) fn command(environment: &TestEnvironment) -> Told {
    talker(environment, PIECES)
}

/// A program that prints. What it wrote is noted behind each line, in the file `wrote`.
pub(super) fn talker(environment: &TestEnvironment, pieces: usize) -> Told {
    let folder = environment.root().join(FOLDER);
    fs::create_dir_all(&folder).unwrap();
    let script = environment.root().join("talker.sh");
    let text = format!(
        "i=0; while [ $i -lt {pieces} ]; do echo \"line $i of ä€𝄞\"; echo $i >>\"$AGENT_FOLDER/wrote\"; i=$((i + 1)); \
         sleep 0.004; done"
    );
    fs::write(&script, text).unwrap();
    configure(
        environment,
        &format!(
            "talker text,write={0} /usr/bin/env AGENT_FOLDER={0} /bin/sh {1}",
            folder.display(),
            script.display()
        ),
    );
    Told { provider: "command", vars: Vec::new(), expected: lines(pieces), prompt: "tell".to_owned() }
}

pub(super) fn acp(environment: &TestEnvironment) -> Told {
    teller(environment, PIECES)
}

/// An agent on the official SDK, with a memory of its own.
pub(super) fn teller(environment: &TestEnvironment, pieces: usize) -> Told {
    let folder = environment.root().join(FOLDER);
    fs::create_dir_all(&folder).unwrap();
    let script = checkout().join("tests/e2e/tests/it/kills/agent.py");
    let sdk = ToolPaths::load().get("acp_sdk");
    let agent = format!(
        "teller acp,read={0},write={1} /usr/bin/env PYTHONPATH={0} AGENT_FOLDER={1} python3 {2}",
        sdk.display(),
        folder.display(),
        script.display()
    );
    configure(environment, &agent);
    Told { provider: "acp", vars: Vec::new(), expected: lines(pieces), prompt: format!("tell {pieces}") }
}
