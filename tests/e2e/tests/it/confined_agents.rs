//! Agents that are programs, as a user has them: confined to the claimed worktree, with a socket of their own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use podium_harness::{TestEnvironment, TestRepo, eventually};
use serde_json::Value;

/// Asks for what it may have, tries what it may not, and commits before and after somebody kills the daemon.
const AGENT: &str = r#"
listed() { imi list >/dev/null 2>&1 && echo "listed $1"; }
listed before
question=$(jelmore --json inbox ask 'May I push?' | grep -o '"id": *"[^"]*"' | head -1 | cut -d'"' -f4)
[ -n "$question" ] && echo asked
jelmore inbox answer "$question" allow >/dev/null 2>&1 && echo HOLE: approves itself
podium config set claims.heartbeat_seconds 5 >/dev/null 2>&1 && echo HOLE: configures
podium daemon stop >/dev/null 2>&1 && echo HOLE: stops the daemon
imi claim feat-other --force >/dev/null 2>&1 && echo HOLE: takes over
echo "as $PODIUM_AGENT_ID with s3cr3t-of-the-file"
echo one >one; git add one; git commit -q -m one
touch ready
while [ ! -e go ]; do sleep 0.05; done
listed after
rm -f go ready
echo two >two; git add two; git commit -q -m two
echo over
"#;

struct Coder {
    environment: TestEnvironment,
}

impl Coder {
    fn new(words: &str, settings: &str) -> Self {
        let environment = TestEnvironment::new();
        let (script, home) = (environment.root().join("agent.sh"), environment.home());
        fs::write(&script, AGENT).unwrap();
        fs::create_dir_all(home.root()).unwrap();
        let line = format!("coder text{words} /bin/sh {}", script.display());
        fs::write(home.config_file(), format!("{settings}\nsessions.agents = [{line:?}]\n")).unwrap();
        let keys = home.root().join("secrets.toml");
        fs::write(&keys, "SOME_KEY = \"s3cr3t-of-the-file\"\n").unwrap();
        fs::set_permissions(keys, fs::Permissions::from_mode(0o600)).unwrap();
        Self { environment }
    }

    fn worktrees(&self) -> (TestRepo<'_>, PathBuf) {
        let repo = self.environment.repo();
        for name in ["mine", "other"] {
            self.environment.imi(["feat", name]).within(&repo).ok();
        }
        let status = self.environment.imi(["status", "feat-mine"]).within(&repo).data();
        (repo, status["worktree"]["path"].as_str().unwrap().into())
    }

    fn text(&self, id: &str) -> String {
        let shown = self.environment.jelmore(["sessions", "show", id]).data();
        let items = shown["items"].as_array().unwrap().iter();
        items.filter(|item| item["kind"] == "text").filter_map(|item| item["text"].as_str()).collect()
    }
}

fn start(coder: &Coder, repo: &TestRepo<'_>) -> (String, podium_harness::JsonLines) {
    let ask = ["start", "command", "--prompt", "go", "--worktree", "feat-mine", "--agent-id", "claude-1"];
    let mut lines = coder.environment.jelmore(ask).within(repo).lines();
    let id = lines.read_type("session")["id"].as_str().unwrap().to_owned();
    (id, lines)
}

#[test]
fn an_agent_works_as_itself_through_the_death_of_the_daemon_and_loses_no_commit() {
    let coder = Coder::new("", "");
    let environment = &coder.environment;
    let (repo, mine) = coder.worktrees();
    let main = repo.git(["rev-parse", "main"]);
    let (id, mut lines) = start(&coder, &repo);
    eventually("the agent has committed", || mine.join("ready").exists());
    environment.kill_daemon();
    lines.kill();
    let folder = environment.home().root().join("sessions").join(&id);
    assert!(folder.join("private/git").is_dir(), "the workplace stays");
    let mut lines = environment.jelmore(["sessions", "resume", &id]).within(&repo).lines();
    eventually("a daemon runs again", || environment.daemon_pid().is_some());
    eventually("the session goes on", || {
        environment.jelmore(["sessions", "show", &id]).data()["status"] == "in_progress"
    });
    fs::write(mine.join("go"), "").unwrap();
    let end = lines.read_type("end");
    let said = coder.text(&id);
    assert_eq!(end["status"], "completed", "{end:#}\n{said}\n{}", environment.log());
    assert!(!said.contains("HOLE"), "{said}");
    assert!(!said.contains("s3cr3t") && said.contains("[redacted:SOME_KEY]"), "{said}");
    for words in ["asked\n", "as claude-1 with", "listed before\n", "over\n"] {
        assert!(said.contains(words), "{words:?} in {said}");
    }
    if mechanism(environment) == "bubblewrap" {
        assert!(said.contains("listed after\n"), "the next daemon's socket is found: {said}");
    }
    let log = environment.git(&mine, ["log", "-2", "--format=%s"]);
    assert_eq!(log, "two\none", "{said}");
    assert_eq!(environment.git(&mine, ["status", "--porcelain"]), "");
    assert_eq!(repo.git(["rev-parse", "main"]), main);
    let open = environment.jelmore(["inbox", "list"]).data();
    assert!(open.to_string().contains("May I push?"), "nobody answered: {open:#}");
    eventually("the workplace is removed", || !folder.exists());
    assert_eq!(sockets(environment), Vec::<PathBuf>::new());
}

fn mechanism(environment: &TestEnvironment) -> String {
    let doctor = environment.podium(["doctor"]).run();
    let used = ["bubblewrap", "landlock"]
        .into_iter()
        .find(|name| doctor.stdout.contains(&format!("{name} is used")));
    used.unwrap_or("none").to_owned()
}

fn sockets(environment: &TestEnvironment) -> Vec<PathBuf> {
    let below = |folder: &Path| {
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect::<Vec<_>>()
    };
    below(&environment.home().capability_sockets()).iter().flat_map(|folder| below(folder)).collect()
}

#[test]
fn where_nothing_confines_an_agent_works_only_by_a_recorded_word_of_a_person() {
    let coder = Coder::new("", "sandbox.mechanism = \"none\"");
    let environment = &coder.environment;
    let (repo, mine) = coder.worktrees();
    let (id, mut lines) = start(&coder, &repo);
    let mut question = Value::Null;
    eventually("a person is asked", || {
        let items = environment.jelmore(["inbox", "list"]).data()["items"].clone();
        question = items.as_array().and_then(|items| items.first().cloned()).unwrap_or_default();
        question["tool"] == "unsandboxed"
    });
    assert!(!mine.join("ready").exists(), "it has not begun");
    environment.jelmore(["inbox", "answer", question["id"].as_str().unwrap(), "deny"]).ok();
    let end = lines.read_type("end");
    assert_eq!(end["status"], "parked", "{end:#}");
    assert!(end["reason"].as_str().unwrap().contains("unsandboxed"), "{end:#}");
    environment.jelmore(["sessions", "cancel", &id]).ok();
    eventually("what it had is removed", || !environment.home().root().join("sessions").join(&id).exists());
    let doctor = environment.podium(["doctor"]).run();
    assert!(doctor.stdout.contains("`sandbox.mechanism` is none"), "{doctor:#?}");
    assert!(!environment.jelmore(["providers"]).data().to_string().contains("UNSANDBOXED"));
}
