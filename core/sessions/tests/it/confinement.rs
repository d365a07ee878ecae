//! What a confined agent does to everything around its worktree: real git, real sandboxes.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use podium_git::{AddWorktree, Git, GitEnv, GitError, Oid, Repo, Untracked, WorktreeLocation, WorktreeStart};
use podium_process::Output;
use podium_process::sandbox::{self, Mechanism};
use podium_sessions::workplace::{
    Approval, Claimed, CommandOptions, Confine, Opening, Workplace, WorkplaceError,
};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);

/// Whether the claim is held is up to the test.
pub(crate) struct Claim(AtomicBool);

impl Claimed for Claim {
    fn check(&self) -> Result<(), String> {
        if self.0.load(Ordering::SeqCst) { Ok(()) } else { Err("token 1 is stale".to_owned()) }
    }
}

/// Keeps, of each look at the claim, whether others had to wait for the repository meanwhile.
struct Watched {
    repo: Repo,
    alone: Mutex<Vec<bool>>,
}

impl Claimed for Watched {
    fn check(&self) -> Result<(), String> {
        let busy = matches!(self.repo.write(Duration::ZERO), Err(GitError::QueueBusy { .. }));
        self.alone.lock().unwrap().push(busy);
        Ok(())
    }
}

/// Both real mechanisms, or those that work here; one at least has to.
pub(crate) fn mechanisms() -> Vec<Mechanism> {
    let report = sandbox::probe();
    let works = |of: &Mechanism| report.of(*of).unwrap().available();
    let found: Vec<_> = [Mechanism::Bubblewrap, Mechanism::Landlock].into_iter().filter(works).collect();
    assert!(!found.is_empty(), "no sandbox works on this machine: {report:?}");
    found
}

/// A user's home with a project, its worktrees, keys and a daemon.
pub(crate) struct Place {
    _root: tempfile::TempDir,
    pub(crate) home: PathBuf,
    pub(crate) repo: Repo,
    pub(crate) at: WorktreeLocation,
    claim: Arc<Claim>,
    _main_socket: UnixListener,
    _session_socket: UnixListener,
}

impl Place {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let home = root.path().canonicalize().unwrap().join("home");
        for folder in [".ssh", ".podium/run/cap", "src/app", ".rustup", ".config/git"] {
            fs::create_dir_all(home.join(folder)).unwrap();
        }
        fs::write(home.join(".ssh/id_ed25519"), "PRIVATE KEY").unwrap();
        fs::write(home.join(".podium/token"), "main token").unwrap();
        fs::write(home.join(".rustup/tool"), "a toolchain").unwrap();
        fs::write(home.join(".gitconfig"), "[user]\nname = Ada\nemail = ada@example.org\n").unwrap();
        let main_socket = UnixListener::bind(home.join(".podium/run/daemon.sock")).unwrap();
        let session_socket = UnixListener::bind(home.join(".podium/run/cap/1.sock")).unwrap();
        let project = home.join("src/app");
        fs::create_dir(project.join("dir")).unwrap();
        fs::write(project.join("file"), "file\n").unwrap();
        fs::write(project.join("dir/file"), "inner\n").unwrap();
        fs::write(project.join(".gitignore"), ".env\n").unwrap();
        run_git(&home, &project, &["init", "-q", "-b", "main"]);
        run_git(&home, &project, &["add", "-A"]);
        run_git(&home, &project, &["commit", "-q", "-m", "first"]);
        let repo = Repo::discover(&Git::find(git_env(&home)).unwrap(), &project).unwrap();
        let add = |name: &str| {
            let start =
                WorktreeStart::NewBranch { name: name.into(), at: repo.resolve_here("main").unwrap() };
            let path = home.join("src/app.worktrees").join(name);
            let writer = repo.write(PATIENCE).unwrap();
            writer.add_worktree(&AddWorktree::new(path, start)).unwrap().location
        };
        fs::create_dir(home.join("src/app.worktrees")).unwrap();
        add("sibling");
        let at = add("work");
        fs::write(at.path.join(".env"), "PASSWORD=hunter2\n").unwrap();
        fs::create_dir(at.path.join("keys")).unwrap();
        fs::write(at.path.join("keys/server.key"), "PRIVATE KEY\n").unwrap();
        let claim = Arc::new(Claim(AtomicBool::new(true)));
        Self {
            _root: root,
            home,
            repo,
            at,
            claim,
            _main_socket: main_socket,
            _session_socket: session_socket,
        }
    }

    pub(crate) fn opening(&self, mechanism: Mechanism) -> Opening {
        let podium = self.home.join(".podium");
        let confine = Confine {
            mechanism: Some(mechanism),
            hidden: vec![podium.clone()],
            socket: Some(podium.join("run/cap/1.sock")),
            read: vec![self.home.join(".rustup"), self.home.join(".absent")],
            ..Confine::default()
        };
        let env = BTreeMap::from([
            ("PATH".to_owned(), std::env::var("PATH").unwrap()),
            ("HOME".to_owned(), self.home.display().to_string()),
            ("SSH_AUTH_SOCK".to_owned(), "/nowhere".to_owned()),
            ("ANTHROPIC_API_KEY".to_owned(), "sk-secret".to_owned()),
        ]);
        Opening {
            repo: self.repo.clone(),
            at: self.at.clone(),
            folder: podium.join(format!("sessions/{mechanism}")),
            confine,
            agent: "smith".to_owned(),
            env,
            claimed: self.claim.clone(),
            occupied: false,
        }
    }

    pub(crate) fn open(&self, mechanism: Mechanism) -> Workplace {
        Workplace::open(self.opening(mechanism)).unwrap()
    }

    pub(crate) fn branch(&self, name: &str) -> Oid {
        self.repo.branch(name).unwrap().unwrap()
    }

    fn is_clean(&self) -> bool {
        self.repo.status(&self.at, Untracked::All).unwrap().entries.iter().all(|entry| {
            // Untracked and not ignored outside: hidden inside.
            entry.path == Path::new("keys/server.key")
        })
    }

    pub(crate) fn git<S: AsRef<OsStr>>(&self, args: &[S]) -> String {
        run_git(&self.home, &self.at.path, args)
    }
}

fn git_env(home: &Path) -> GitEnv {
    GitEnv::from_vars([
        ("PATH".to_owned(), std::env::var("PATH").unwrap()),
        ("HOME".to_owned(), home.display().to_string()),
        ("GIT_CONFIG_NOSYSTEM".to_owned(), "1".to_owned()),
    ])
}

fn run_git<S: AsRef<OsStr>>(home: &Path, folder: &Path, args: &[S]) -> String {
    let output = std::process::Command::new("git")
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap())
        .env("HOME", home)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    text.trim_end().to_owned()
}

async fn inside(workplace: &Workplace, script: &str) -> Output {
    inside_with(workplace, script, &CommandOptions::default()).await
}

async fn inside_with(workplace: &Workplace, script: &str, options: &CommandOptions) -> Output {
    let command = workplace.command(["bash", "-c", script], options).unwrap();
    command.timeout(PATIENCE).output(&CancellationToken::new()).await.unwrap()
}

fn text(output: &Output) -> String {
    format!("{} {}{}", output.exit, output.stdout.text(), output.stderr.text())
}

/// Each line tries something that must not work; whatever it prints on stdout is a hole.
pub(crate) fn attempts(place: &Place, port: u16) -> String {
    let home = place.home.display();
    let common = place.repo.common_dir().display();
    let sibling = format!("{home}/src/app.worktrees/sibling");
    let tree = place.at.path.display();
    format!(
        r#"
        exec 2>/dev/null
        try() {{ name=$1; shift; if "$@"; then echo "HOLE: $name"; fi; }}
        try 'read a sibling' cat {sibling}/file
        try 'write to a sibling' bash -c 'echo x >{sibling}/planted'
        try 'read the main worktree' cat {home}/src/app/file
        try 'read a key' cat {home}/.ssh/id_ed25519
        try 'write a key' bash -c 'echo x >>{home}/.ssh/authorized_keys && cat {home}/.ssh/id_ed25519'
        try 'read the token' cat {home}/.podium/token
        try 'read the environment of the daemon' bash -c 'grep -a sk-secret /proc/*/environ'
        try 'see a key of the caller' test -n "$ANTHROPIC_API_KEY$SSH_AUTH_SOCK"
        try 'read a secret file of the tree' grep PASS .env
        try 'read a key of the tree' grep KEY keys/server.key
        try 'copy a secret file' bash -c 'cp .env dir/copy && test -s dir/copy'
        try 'reach the main socket' python3 -Ic 'import socket; socket.socket(socket.AF_UNIX).connect("{home}/.podium/run/daemon.sock")'
        try 'reach a port' python3 -Ic 'import socket; socket.create_connection(("127.0.0.1", {port}), timeout=5)'
        try 'write the .git file' bash -c 'echo gitdir: {home}/evil >.git'
        try 'replace the .git file' bash -c 'mv .git moved && mkdir .git'
        try 'remove the .git file' rm -f .git
        rm -rf {common}/objects/pack {common}/objects/?? {common}/refs
        rm -rf /run/podium/*/objects
        mkdir -p {common}/hooks
        for hook in post-commit post-checkout pre-commit reference-transaction post-index-change; do
            printf '#!/bin/sh\ntouch {tree}/dir/hook-ran\n' >{common}/hooks/$hook; chmod +x {common}/hooks/$hook
        done
        echo '[core] fsmonitor = touch {tree}/dir/fsmonitor-ran' >>{common}/config
        echo '[core] fsmonitor = touch {tree}/dir/fsmonitor-ran' >>{home}/.gitconfig
        exit 0
        "#
    )
}

#[tokio::test]
async fn a_commit_from_inside_a_linked_worktree_comes_over_and_nothing_else_is_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for mechanism in mechanisms() {
        let place = Place::new();
        let (main, sibling, before) = (place.branch("main"), place.branch("sibling"), place.branch("work"));
        let workplace = place.open(mechanism);
        let script = "set -e; git status --porcelain
            echo changed >file; echo new >dir/new; git add -A; git commit -q -m 'from inside'
            git log --format=%s; git show --stat --format=%an HEAD";
        let output = inside(&workplace, script).await;
        assert!(output.success(), "{mechanism}: {}", text(&output));
        let told = output.stdout.text();
        assert!(told.starts_with("from inside\nfirst\nAda\n"), "{mechanism}: {}", text(&output));
        assert!(!told.contains(".env") && !told.contains("server.key"), "{mechanism}: {told}");
        assert_eq!(place.branch("work"), before, "{mechanism}: nothing moves before the import");

        let plant = "git update-ref refs/heads/main HEAD && git update-ref refs/heads/sibling HEAD
            git tag planted; git config core.fsmonitor 'touch ran'; git config core.hooksPath evil; true";
        let output = inside(&workplace, plant).await;
        assert!(output.success(), "{mechanism}: {}", text(&output));
        let done = workplace.import().await.unwrap().unwrap();
        assert_eq!((done.old, done.commits, done.index), (Some(before), 1, true), "{mechanism}");
        assert_eq!(place.branch("work"), done.new);
        assert_eq!(place.git(&["show", "work:dir/new"]), "new");

        // What the attempts are made with is there.
        let output = inside(&workplace, "python3 -Ic 'import socket'").await;
        assert!(output.success(), "{mechanism}: {}", text(&output));
        let output = inside(&workplace, &attempts(&place, port)).await;
        assert_eq!(output.stdout.text(), "", "{mechanism}: {}", text(&output));
        assert!(output.success(), "{mechanism}: {}", text(&output));
        assert_eq!((place.branch("main"), place.branch("sibling")), (main, sibling), "{mechanism}");
        assert_eq!(place.git(&["tag"]), "", "{mechanism}");
        let config = place.git(&["config", "--list"]);
        assert!(!config.contains("fsmonitor") && !config.to_lowercase().contains("hookspath"), "{config}");
        assert!(!place.home.join("src/app.worktrees/sibling/planted").exists());
        assert!(!place.home.join(".ssh/authorized_keys").exists());
        assert_eq!(fs::read_to_string(place.at.path.join(".env")).unwrap(), "PASSWORD=hunter2\n");
        place.git(&["fsck", "--strict", "--no-dangling"]);
        place.git(&["commit", "-q", "--allow-empty", "-m", "outside"]);
        place.git(&["status"]);
        assert!(place.is_clean(), "{mechanism}: {}", place.git(&["status", "--short"]));
        assert!(!place.at.path.join("dir/hook-ran").exists(), "{mechanism}: a planted hook ran outside");
        assert!(!place.at.path.join("dir/fsmonitor-ran").exists(), "{mechanism}");
        assert_eq!(fs::read_to_string(place.home.join(".gitconfig")).unwrap().lines().count(), 3);
        // Both can be reached where nothing confines, so the refusals above mean something.
        std::os::unix::net::UnixStream::connect(place.home.join(".podium/run/daemon.sock")).unwrap();
    }
    std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
}

#[tokio::test]
async fn the_main_worktree_with_others_inside_it_is_a_place_of_work_as_well() {
    for mechanism in mechanisms() {
        let mut place = Place::new();
        let inner = place.repo.root().join("trees");
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join(".gitignore"), "*\n").unwrap();
        let start = WorktreeStart::NewBranch { name: "inner".into(), at: place.branch("main") };
        let add = AddWorktree::new(inner.join("inner"), start);
        place.repo.write(PATIENCE).unwrap().add_worktree(&add).unwrap();
        place.at = place.repo.main_worktree().unwrap();
        let workplace = place.open(mechanism);
        let script = "echo changed >file; git commit -qam 'on main' || exit 1
            cat trees/inner/file 2>/dev/null; rm -rf .git/refs .git/objects .git/config 2>/dev/null
            echo x 2>/dev/null >trees/inner/planted; git log -1 --format=%s";
        let output = inside(&workplace, script).await;
        // What is removed of the private folder is the agent's own loss.
        assert!(!output.stdout.text().contains("file\n"), "{mechanism}: {}", text(&output));
        assert!(!inner.join("inner/planted").exists(), "{mechanism}");
        place.git(&["fsck", "--strict"]);
        assert_eq!(place.git(&["log", "--format=%s"]), "first", "{mechanism}");

        fs::remove_dir_all(place.home.join(".podium/sessions")).unwrap();
        let workplace = place.open(mechanism);
        let output = inside(&workplace, "git commit -qam 'on main'").await;
        assert!(output.success(), "{mechanism}: {}", text(&output));
        workplace.import().await.unwrap().unwrap();
        assert_eq!(place.git(&["log", "--format=%s"]), "on main\nfirst", "{mechanism}");
        assert_eq!(place.git(&["status", "--short"]), "", "{mechanism}");
    }
}

#[tokio::test]
async fn a_lost_claim_keeps_commits_out_until_it_is_held_again() {
    for mechanism in mechanisms() {
        let place = Place::new();
        let before = place.branch("work");
        let workplace = place.open(mechanism);
        let output = inside(&workplace, "git commit -q --allow-empty -m x").await;
        assert!(output.success(), "{mechanism}: {}", text(&output));
        place.claim.0.store(false, Ordering::SeqCst);
        let error = workplace.import().await.unwrap_err();
        assert!(matches!(error, WorkplaceError::ClaimLost(_)), "{error}");
        assert_eq!(place.branch("work"), before);
        assert!(!workplace.close().await.unwrap(), "what is not imported stays");
        place.claim.0.store(true, Ordering::SeqCst);
        // As after a restart of the daemon.
        let workplace = place.open(mechanism);
        assert_eq!(workplace.import().await.unwrap().unwrap().commits, 1);
        assert!(workplace.close().await.unwrap());
        assert!(!place.opening(mechanism).folder.exists());
    }
}

#[tokio::test]
async fn a_branch_moves_under_a_claim_that_was_looked_at_when_nobody_else_could_write() {
    let (place, mechanism) = (Place::new(), mechanisms()[0]);
    let watched = Arc::new(Watched { repo: place.repo.clone(), alone: Mutex::default() });
    let opening = Opening { claimed: watched.clone(), ..place.opening(mechanism) };
    let workplace = Workplace::open(opening).unwrap();
    let output = inside(&workplace, "git commit -q --allow-empty -m x").await;
    assert!(output.success(), "{mechanism}: {}", text(&output));
    assert_eq!(workplace.import().await.unwrap().unwrap().commits, 1);
    assert_eq!(watched.alone.lock().unwrap().last(), Some(&true));
}

#[tokio::test]
async fn what_is_granted_can_be_used_and_lasts_for_the_session() {
    for mechanism in mechanisms() {
        let place = Place::new();
        let workplace = place.open(mechanism);
        let script = format!(
            "cat {0}/.rustup/tool $RUSTUP_HOME/tool; (echo x >{0}/.rustup/new) 2>/dev/null && echo HOLE
             echo kept >~/kept; echo kept >$TMPDIR/kept; echo $PODIUM_AGENT_ID; cd dir && echo >made && rm made",
            place.home.display()
        );
        let output = inside(&workplace, &script).await;
        assert_eq!(output.stdout.text(), "a toolchaina toolchainsmith\n", "{mechanism}: {}", text(&output));
        let output = inside(&workplace, "cat ~/kept $TMPDIR/kept").await;
        assert_eq!(output.stdout.text(), "kept\nkept\n", "{mechanism}: {}", text(&output));
        assert!(!place.home.join("kept").exists());
        if workplace.has_socket() {
            let connect = r#"python3 -Ic 'import os, socket; socket.socket(socket.AF_UNIX).connect(os.environ["PODIUM_SOCKET"])'"#;
            let output = inside(&workplace, connect).await;
            assert!(output.success(), "{mechanism}: {}", text(&output));
        } else {
            assert_eq!(mechanism, Mechanism::Landlock);
            assert!(workplace.cannot().iter().any(|cannot| cannot.contains("unix sockets")));
        }
        let options = CommandOptions { folder: "dir".into(), ..CommandOptions::default() };
        let output = inside_with(&workplace, "cat file", &options).await;
        assert_eq!(output.stdout.text(), "inner\n", "{mechanism}");
        let outside = CommandOptions { folder: "../sibling".into(), ..CommandOptions::default() };
        assert!(matches!(workplace.command(["true"], &outside), Err(WorkplaceError::Outside(_))));
    }
}

#[tokio::test]
async fn the_network_is_a_matter_of_the_rules() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!("python3 -Ic 'import socket; socket.create_connection((\"127.0.0.1\", {port}))'");
    for mechanism in mechanisms() {
        let place = Place::new();
        let workplace = place.open(mechanism);
        assert!(!inside(&workplace, &script).await.success(), "{mechanism}");
        let options = CommandOptions { network: Some(true), ..CommandOptions::default() };
        let output = inside_with(&workplace, &script, &options).await;
        assert!(output.success(), "{mechanism}: {}", text(&output));
    }
}

#[tokio::test]
async fn hooks_of_the_project_run_inside_and_see_what_a_command_sees() {
    for mechanism in mechanisms() {
        let place = Place::new();
        let hooks = place.repo.common_dir().join("hooks");
        fs::create_dir_all(&hooks).unwrap();
        let hook = format!(
            "#!/bin/sh\ncat {}/.ssh/id_ed25519 2>/dev/null\ngrep -q forbidden file && echo refused by the hook && exit 1\nexit 0\n",
            place.home.display()
        );
        let path = hooks.join("pre-commit");
        fs::write(&path, hook).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let workplace = place.open(mechanism);
        let output = inside(&workplace, "echo forbidden >file; git commit -qam x").await;
        assert_eq!(output.exit.code, Some(1), "{mechanism}: {}", text(&output));
        assert!(text(&output).contains("refused by the hook"), "{mechanism}: {}", text(&output));
        assert!(!text(&output).contains("PRIVATE KEY"), "{mechanism}");
        let output = inside(&workplace, "echo allowed >file; git commit -qam x").await;
        assert!(output.success(), "{mechanism}: {}", text(&output));
        assert_eq!(workplace.import().await.unwrap().unwrap().commits, 1);
    }
}

#[tokio::test]
async fn what_an_agent_makes_of_its_git_folder_misleads_nobody() {
    for mechanism in mechanisms() {
        let place = Place::new();
        let workplace = place.open(mechanism);
        let before = place.branch("work");
        let script = "git commit -q --allow-empty -m x; cd \"$(git rev-parse --git-common-dir)\" || exit 1
            rm -rf refs && ln -s / refs && ln -s /etc hooks";
        let output = inside(&workplace, script).await;
        assert!(output.success(), "{mechanism}: {}", text(&output));
        let error = workplace.import().await.unwrap_err();
        assert!(matches!(error, WorkplaceError::Git(GitError::Tampered { .. })), "{mechanism}: {error}");
        assert_eq!(place.branch("work"), before);
        // Its settings are its own until the next time the workplace is opened.
        inside(&workplace, "git config core.sshCommand evil").await;
        drop(workplace);
        let workplace = place.open(mechanism);
        let config = fs::read_to_string(workplace.private().common_dir().join("config")).unwrap();
        assert!(!config.contains("evil"), "{mechanism}");
    }
}

#[test]
fn without_a_sandbox_only_an_approval_lets_an_agent_work() {
    let place = Place::new();
    let mut opening = place.opening(Mechanism::None);
    let Err(error) = Workplace::open(opening.clone()) else { panic!("unconfined without a word") };
    assert!(matches!(error, WorkplaceError::Unconfined { .. }), "{error}");
    let wire = podium_protocol::WireError::from(error);
    assert!(wire.hints.iter().any(|hint| hint.contains("unsandboxed")), "{wire:?}");
    let approval = Approval { by: "person:ada@host".into(), at: std::time::SystemTime::now() };
    opening.confine.unsandboxed = Some(approval.clone());
    let workplace = Workplace::open(opening).unwrap();
    assert_eq!((workplace.mechanism(), workplace.approval()), (Mechanism::None, Some(&approval)));
}
