//! Agents that are programs, in real sandboxes: in runners of their own, with real git, as the daemon runs them.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use podium_config::Live;
use podium_harness::ToolPaths;
use podium_process::sandbox::Mechanism;
use podium_process::{ProcessState, runner};
use podium_protocol::{InboxDecision, InboxScope, ItemKind, SessionEnd, SessionItem, SessionStatus};
use podium_sessions::acp::{Acp, Gate};
use podium_sessions::command::Program;
use podium_sessions::permission::Permissions;
use podium_sessions::workplace::{Alone, Lodging, Terms, Workplace, WorkplaceError, Workplaces};
use podium_sessions::{AgentHost, Inbox, Lodgings, Provider, Start, StopCause, Workbench, WorktreeRef};
use podium_store::{Options, Store};

use crate::agents::{bed_of, config, configure_lines, folder, launcher, pid_in, within};
use crate::confinement::{Place, attempts, mechanisms};
use crate::{Bed, ask, assert_gapless, follow, text};

/// Opens what a test says, as the daemon does.
struct Here {
    place: Arc<Place>,
    mechanism: Mechanism,
}

#[async_trait]
impl Workplaces for Here {
    async fn open(&self, bench: &Workbench, terms: &Terms) -> Result<Arc<Workplace>, WorkplaceError> {
        let mut opening = self.place.opening(self.mechanism);
        opening.confine = opening.confine.under(terms, Some(&self.place.home), &[&self.place.at.path]);
        opening.env.clone_from(&bench.env);
        opening.occupied = terms.occupied;
        Ok(Arc::new(tokio::task::spawn_blocking(move || Workplace::open(opening)).await.unwrap()?))
    }

    async fn alone(&self, bench: &Workbench, terms: &Terms) -> Result<Lodging, WorkplaceError> {
        let opening = self.place.opening(self.mechanism);
        let confine = opening.confine.under(terms, Some(&self.place.home), &[]);
        let folder = opening.folder.with_extension("alone");
        Alone { folder: &folder, confine: &confine, agent: "smith", env: &bench.env }.lodging()
    }

    async fn leave(&self, _session: &str) -> Result<(), WorkplaceError> {
        let place = self.place.open(self.mechanism);
        place.import_amended().await.map(drop)
    }
}

/// One machine with one agent.
struct World {
    dir: tempfile::TempDir,
    place: Arc<Place>,
    mechanism: Mechanism,
}

impl World {
    fn new(mechanism: Mechanism) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), place: Arc::new(Place::new()), mechanism }
    }

    fn script(&self, script: &str) -> PathBuf {
        let file = self.dir.path().join("agent.sh");
        fs::write(&file, script).unwrap();
        file
    }

    /// An agent that is a shell script.
    fn shell(&self, words: &str, script: &str) {
        let line = format!("shell text{words} /bin/sh {}\n", self.script(script).display());
        configure_lines(self.dir.path(), &line);
    }

    /// The agent built on the official SDK.
    fn acp(&self) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/acp_agent.py");
        let (sdk, own) = (ToolPaths::load().get("acp_sdk"), self.dir.path().join("of-agent"));
        fs::create_dir_all(&own).unwrap();
        let (sdk, own) = (sdk.display(), own.display());
        let line = format!(
            "scripted acp,read={sdk},write={own} /usr/bin/env PYTHONPATH={sdk} ACP_TEST_FOLDER={own} python3 {}\n",
            script.display()
        );
        configure_lines(self.dir.path(), &line);
    }

    fn bed(&self, instance: &str) -> Bed {
        let dir = self.dir.path();
        let (config, store) = (config(dir), Store::open(&Options { path: dir.join("p.db") }).unwrap());
        let workplaces = Arc::new(Here { place: Arc::clone(&self.place), mechanism: self.mechanism });
        let lodgings = Lodgings::new(store.clone(), Arc::clone(&config), workplaces);
        let host = AgentHost::new(launcher(), folder(dir), Some(Arc::new(lodgings)));
        let provider = self.provider(host, &config, &store);
        bed_of(dir, instance, store, provider, config)
    }

    fn provider(&self, host: Arc<AgentHost>, config: &Arc<Live>, store: &Store) -> Arc<dyn Provider> {
        let lines = fs::read_to_string(self.dir.path().join("agents.txt")).unwrap();
        if lines.starts_with("scripted acp") {
            let gate = Gate::new(store.clone(), Permissions::new(store.clone(), Arc::clone(config)));
            return Arc::new(Acp::new(host, Arc::clone(config), gate));
        }
        Arc::new(Program::new(host, Arc::clone(config)))
    }

    fn start(&self, prompt: &str) -> Start {
        let path = self.place.at.path.clone();
        let worktree = WorktreeRef { id: "w".into(), repo: "r".into(), name: "work".into(), path };
        let env = [
            ("PATH".to_owned(), std::env::var("PATH").unwrap()),
            ("HOME".to_owned(), self.place.home.display().to_string()),
        ];
        let agent_id = Some("smith".to_owned());
        Start { worktree: Some(worktree), env: env.into(), agent_id, ..ask(prompt) }
    }

    async fn answer(&self, prompt: &str) -> (Vec<SessionItem>, SessionEnd) {
        let bed = self.bed("a");
        let id = bed.sessions.start(self.start(prompt)).await.unwrap().id;
        let (items, end) = within(follow(&bed.sessions, &id)).await;
        assert_gapless(&items);
        (items, end)
    }
}

const COMMIT: &str = "set -e; git status --porcelain; echo changed >file; echo new >dir/new; git add -A
    git commit -q -m 'from the agent'; git update-ref refs/heads/main HEAD; git tag planted
    git config core.hooksPath evil; git log --format=%s; pwd";

/// What an agent has committed is on its branch, and nothing else of the repository is other than before.
fn assert_only_the_commit(world: &World, main: &podium_git::Oid) {
    let (place, mechanism) = (&world.place, world.mechanism);
    assert_eq!(place.git(&["log", "--format=%s", "work"]), "from the agent\nfirst", "{mechanism}");
    assert_eq!(place.git(&["show", "work:dir/new"]), "new", "{mechanism}");
    assert_eq!((place.branch("main"), place.branch("sibling")), (main.clone(), main.clone()), "{mechanism}");
    assert_eq!(place.git(&["tag"]), "", "{mechanism}");
    assert!(!place.git(&["config", "--list"]).contains("evil"), "{mechanism}");
    place.git(&["fsck", "--strict", "--no-dangling"]);
}

fn assert_untouched(world: &World, before: &podium_git::Oid) {
    let (place, mechanism) = (&world.place, world.mechanism);
    for branch in ["main", "sibling", "work"] {
        assert_eq!(place.branch(branch), *before, "{mechanism}: {branch}");
    }
    let config = place.git(&["config", "--list"]).to_lowercase();
    assert!(!config.contains("fsmonitor") && !config.contains("hookspath"), "{mechanism}: {config}");
    place.git(&["fsck", "--strict", "--no-dangling"]);
    place.git(&["commit", "-q", "--allow-empty", "-m", "outside"]);
    assert!(!place.at.path.join("dir/hook-ran").exists(), "{mechanism}: a planted hook ran outside");
}

#[tokio::test]
async fn a_program_commits_in_its_worktree_and_reaches_nothing_else() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for mechanism in mechanisms() {
        let world = World::new(mechanism);
        let main = world.place.branch("main");
        world.shell("", COMMIT);
        let (items, end) = world.answer("commit").await;
        let said = text(&items);
        assert_eq!((end.status, end.reason), (SessionStatus::Completed, None), "{mechanism}: {said}");
        let tree = world.place.at.path.display();
        assert!(said.ends_with(&format!("from the agent\nfirst\n{tree}\n")), "{mechanism}: {said}");
        assert_only_the_commit(&world, &main);

        let world = World::new(mechanism);
        let before = world.place.branch("main");
        world.shell("", &attempts(&world.place, port));
        let (items, end) = world.answer("attack").await;
        let said = text(&items);
        assert_eq!(end.status, SessionStatus::Completed, "{mechanism}: {said} {:?}", end.reason);
        assert!(!said.contains("HOLE"), "{mechanism}: {said}");
        assert_untouched(&world, &before);
        assert!(!world.place.home.join(".ssh/authorized_keys").exists(), "{mechanism}");
        assert_eq!(runner::runs(&folder(world.dir.path())).unwrap(), Vec::<PathBuf>::new());
    }
    std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
}

#[tokio::test]
async fn an_acp_agent_commits_in_its_worktree_and_reaches_nothing_else() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for mechanism in mechanisms() {
        let world = World::new(mechanism);
        let main = world.place.branch("main");
        world.acp();
        // Where the agent may read it.
        let script = world.dir.path().join("of-agent/script.sh");
        fs::write(&script, COMMIT).unwrap();
        let prompt = format!("script {}", script.display());
        let (items, end) = world.answer(&prompt).await;
        let said = text(&items);
        assert_eq!((end.status, end.reason), (SessionStatus::Completed, None), "{mechanism}: {said}");
        assert!(said.contains("from the agent\nfirst"), "{mechanism}: {said}");
        assert_only_the_commit(&world, &main);

        let world = World::new(mechanism);
        let before = world.place.branch("main");
        world.acp();
        let script = world.dir.path().join("of-agent/script.sh");
        fs::write(&script, attempts(&world.place, port)).unwrap();
        let prompt = format!("script {}", script.display());
        let (items, end) = world.answer(&prompt).await;
        let said = text(&items);
        assert_eq!(end.status, SessionStatus::Completed, "{mechanism}: {said} {:?}", end.reason);
        assert!(said.starts_with("0\n") && !said.contains("HOLE"), "{mechanism}: {said}");
        assert_untouched(&world, &before);
    }
}

#[tokio::test]
async fn commands_of_an_acp_agent_are_asked_about_once_and_run_where_it_does() {
    for mechanism in mechanisms() {
        let world = World::new(mechanism);
        world.acp();
        let bed = world.bed("a");
        let spy = format!("terminal cat {0}/.ssh/id_ed25519 .env; pwd", world.place.home.display());
        let id = bed.sessions.start(world.start(&spy)).await.unwrap().id;
        let question = question(&bed.store).await;
        assert_eq!(question.tool.as_deref(), Some("run_command"));
        let inbox = Inbox::new(bed.store.clone());
        inbox.answer(question.id, InboxDecision::Allow, InboxScope::Session, "ada".into()).await.unwrap();
        let (items, _) = within(follow(&bed.sessions, &id)).await;
        let said = text(&items);
        assert!(!said.contains("PRIVATE KEY") && !said.contains("hunter2"), "{mechanism}: {said}");
        assert!(said.contains(&*world.place.at.path.to_string_lossy()), "{mechanism}: {said}");
        // The lasting answer holds for this command, to the letter.
        let env = world.start("").env;
        bed.sessions.resume(&id, Some(&spy), env).await.unwrap();
        within(follow(&bed.sessions, &id)).await;
        assert_eq!(inbox.list(true).await.unwrap().len(), 1, "{mechanism}: asked once");
    }
}

async fn question(store: &Store) -> podium_protocol::InboxItem {
    let inbox = Inbox::new(store.clone());
    let mut head = store.watch_head();
    within(async {
        loop {
            head.borrow_and_update();
            if let Some(question) = inbox.list(false).await.unwrap().pop() {
                return question;
            }
            head.changed().await.unwrap();
        }
    })
    .await
}

#[tokio::test]
async fn what_an_agent_is_given_it_finds_in_its_own_home_and_the_network_only_by_its_settings() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!(
        "cat ~/.tool/state; echo kept >~/.tool/new; echo own >~/own
         python3 -Ic 'import socket; socket.create_connection((\"127.0.0.1\", {port}), timeout=5)' 2>/dev/null && echo online"
    );
    for mechanism in mechanisms() {
        let world = World::new(mechanism);
        let given = world.place.home.join(".tool");
        fs::create_dir(&given).unwrap();
        fs::write(given.join("state"), "of the user\n").unwrap();
        world.shell(",network,write=~/.tool", &script);
        let (items, end) = world.answer("go").await;
        assert_eq!(text(&items), "of the user\nonline\n", "{mechanism}: {:?}", end.reason);
        assert_eq!(fs::read_to_string(given.join("new")).unwrap(), "kept\n", "{mechanism}");
        assert!(!world.place.home.join("own").exists(), "{mechanism}: its home is another one");

        world.shell("", &script);
        let (items, end) = world.answer("go").await;
        assert_eq!(text(&items), "", "{mechanism}");
        let reason = end.reason.unwrap();
        assert!(reason.contains("no network") && reason.contains("sessions.agents"), "{mechanism}: {reason}");
    }
}

#[tokio::test]
async fn an_agent_without_a_worktree_has_an_empty_home_and_nothing_of_the_users() {
    for mechanism in mechanisms() {
        let world = World::new(mechanism);
        let home = world.place.home.display();
        let spy = format!(
            "cat {home}/.ssh/id_ed25519 {home}/.podium/token 2>/dev/null; ls; echo x >made; cat made"
        );
        world.shell("", &spy);
        let bed = world.bed("a");
        let start = Start { worktree: None, ..world.start("go") };
        let id = bed.sessions.start(start).await.unwrap().id;
        let (items, end) = within(follow(&bed.sessions, &id)).await;
        assert_eq!(
            (text(&items).as_str(), end.status),
            ("x\n", SessionStatus::Completed),
            "{mechanism}: {:?}",
            end.reason
        );
    }
}

#[tokio::test]
async fn an_agent_lives_on_in_its_workplace_while_daemons_change_and_its_commits_come_over() {
    for mechanism in mechanisms() {
        let world = World::new(mechanism);
        let main = world.place.branch("main");
        world.shell("", &format!("echo $$ >dir/pid; {COMMIT}\nwhile [ ! -e dir/go ]; do sleep 0.02; done; rm dir/go dir/pid; git commit -q --amend --no-edit"));
        let first = world.bed("a");
        let id = first.sessions.start(world.start("go")).await.unwrap().id;
        within(async {
            while !text(&first.sessions.items(&id, 0).await.unwrap().0).contains("from the agent") {
                // tidy-allow(sleep): items are no events
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        first.sessions.interrupt_all(StopCause::DaemonReplaced).await;
        drop(first);
        fs::write(world.place.at.path.join("dir/go"), "").unwrap();
        let second = world.bed("b");
        second.sessions.resume(&id, None, world.start("").env).await.unwrap();
        let (items, end) = within(follow(&second.sessions, &id)).await;
        assert_gapless(&items);
        assert_eq!(end.status, SessionStatus::Completed, "{mechanism}: {:?} {}", end.reason, text(&items));
        assert_only_the_commit(&world, &main);
    }
}

#[tokio::test]
async fn a_cancelled_agent_is_gone_in_time_whatever_it_does_and_what_it_committed_stays() {
    for mechanism in mechanisms() {
        let world = World::new(mechanism);
        let main = world.place.branch("main");
        let script = format!(
            "{COMMIT}\ntrap '' TERM INT HUP
             (setsid sh -c 'trap \"\" TERM; while :; do echo beat >>dir/beats; sleep 0.02; done' &)
             echo ready >dir/ready; while :; do echo flood; done"
        );
        world.shell("", &script);
        let bed = world.bed("a");
        let id = bed.sessions.start(world.start("go")).await.unwrap().id;
        let beats = world.place.at.path.join("dir/beats");
        within(async {
            while !beats.exists() {
                // tidy-allow(sleep): a file has to be looked at
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        let asked = Instant::now();
        let (_, status) = within(bed.sessions.cancel(&id)).await.unwrap();
        let took = asked.elapsed();
        println!("{mechanism}: cancelled within {} ms", took.as_millis());
        assert_eq!(status, SessionStatus::Cancelled);
        assert!(took <= Duration::from_secs(2), "{mechanism}: {took:?}");
        let size = || fs::metadata(&beats).map_or(0, |data| data.len());
        let (before, watched) = (size(), Instant::now());
        while watched.elapsed() < Duration::from_millis(300) {
            assert_eq!(size(), before, "{mechanism}: something lives on");
            // tidy-allow(sleep): that nothing happens is told by nobody
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        within(async {
            while world.place.branch("work") == main {
                // tidy-allow(sleep): the import goes on by itself
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        assert_only_the_commit(&world, &main);
    }
}

#[tokio::test]
async fn nothing_confining_means_asking_a_person_and_the_word_is_recorded() {
    let world = World::new(Mechanism::None);
    let spy = format!("cat {}/.ssh/id_ed25519", world.place.home.display());
    for (decision, status) in
        [(InboxDecision::Deny, SessionStatus::Parked), (InboxDecision::Allow, SessionStatus::Completed)]
    {
        world.shell("", &spy);
        let bed = world.bed("a");
        let id = bed.sessions.start(world.start("go")).await.unwrap().id;
        let asked = question(&bed.store).await;
        assert!(asked.question.contains("UNSANDBOXED"), "{}", asked.question);
        let inbox = Inbox::new(bed.store.clone());
        inbox.answer(asked.id, decision, InboxScope::Once, "person:ada".into()).await.unwrap();
        let (items, end) = within(follow(&bed.sessions, &id)).await;
        assert_eq!(end.status, status, "{:?}", end.reason);
        let allowed = decision == InboxDecision::Allow;
        assert_eq!(text(&items).contains("PRIVATE KEY"), allowed, "{items:?}");
        let told = items.iter().find(|item| item.kind == ItemKind::Permission);
        assert_eq!(told.is_some_and(|item| item.text.contains("person:ada")), allowed, "{items:?}");
        let events = bed.store.events(0, vec!["session.unsandboxed".into()], 10).await.unwrap().events;
        assert_eq!(events.len(), usize::from(allowed));
        assert!(events.iter().all(|event| event.data["by"] == "person:ada"), "{events:?}");
    }
    // By a setting, and shown where agents are listed.
    world.shell(",unsandboxed", &spy);
    let bed = world.bed("b");
    let info = bed.sessions.providers(&Default::default()).await;
    assert!(info[0].why.contains("UNSANDBOXED"), "{}", info[0].why);
    let id = bed.sessions.start(world.start("go")).await.unwrap().id;
    let (items, end) = within(follow(&bed.sessions, &id)).await;
    assert_eq!(end.status, SessionStatus::Completed, "{:?}", end.reason);
    assert!(items.iter().any(|item| item.text.contains("the setting sessions.agents of shell")), "{items:?}");
}

#[tokio::test]
async fn a_lasting_word_against_working_unconfined_is_not_asked_for_again() {
    let world = World::new(Mechanism::None);
    world.shell("", "echo ran");
    let bed = world.bed("a");
    let inbox = Inbox::new(bed.store.clone());
    let id = bed.sessions.start(world.start("go")).await.unwrap().id;
    let asked = question(&bed.store).await;
    inbox.answer(asked.id, InboxDecision::Deny, InboxScope::Session, "person:ada".into()).await.unwrap();
    let (_, end) = within(follow(&bed.sessions, &id)).await;
    assert_eq!(end.status, SessionStatus::Parked, "{:?}", end.reason);
    bed.sessions.resume(&id, Some("again"), world.start("").env).await.unwrap();
    let (items, end) = within(follow(&bed.sessions, &id)).await;
    assert_eq!((end.status, text(&items).as_str()), (SessionStatus::Parked, ""), "{:?}", end.reason);
    assert!(end.reason.as_ref().unwrap().contains("an earlier answer of person:ada"), "{:?}", end.reason);
    assert_eq!(inbox.list(true).await.unwrap().len(), 1, "asked once");
}

#[tokio::test]
async fn an_agent_that_is_cancelled_while_nobody_follows_it_leaves_its_commits_on_the_branch() {
    for mechanism in mechanisms() {
        let world = World::new(mechanism);
        let main = world.place.branch("main");
        world.shell("", &format!("{COMMIT}\necho $$ >~/pid; exec sleep 1000"));
        let bed = world.bed("a");
        let id = bed.sessions.start(world.start("go")).await.unwrap().id;
        let pid = world.place.opening(mechanism).folder.join("home/pid");
        within(async {
            while !pid.exists() {
                // tidy-allow(sleep): a file has to be looked at
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        if mechanism == Mechanism::Landlock {
            assert_eq!(pid_in(&pid).await.state(), ProcessState::Alive);
        }
        bed.sessions.interrupt_all(StopCause::DaemonReplaced).await;
        within(bed.sessions.cancel(&id)).await.unwrap();
        assert_only_the_commit(&world, &main);
        assert_eq!(runner::runs(&folder(world.dir.path())).unwrap(), Vec::<PathBuf>::new());
    }
}
