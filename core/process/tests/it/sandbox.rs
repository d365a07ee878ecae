use std::{
    fs,
    net::TcpListener,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use podium_process::{
    Ended, Limits, Output,
    sandbox::{Bind, Mechanism, SandboxError, SandboxPolicy, probe, wrap},
    watch_exit,
};

use crate::support::{never, sh, within};

/// The real mechanisms of this machine.
fn mechanisms() -> Vec<Mechanism> {
    let report = probe();
    let bubblewrap = report.of(Mechanism::Bubblewrap).unwrap();
    if let Some(why) = &bubblewrap.unavailable {
        println!("not tested: bubblewrap: {why}");
        assert!(std::env::var_os("PODIUM_TEST_REQUIRE_BWRAP").is_none_or(|value| value != "1"), "{why}");
    }
    let available: Vec<_> = [Mechanism::Bubblewrap, Mechanism::Landlock]
        .into_iter()
        .filter(|mechanism| report.of(*mechanism).unwrap().available())
        .collect();
    assert!(!available.is_empty(), "no sandbox works on this machine: {report:?}");
    println!("tested: {available:?}");
    available
}

struct Place {
    root: tempfile::TempDir,
}

impl Place {
    /// A work tree to write to, a folder to read, secrets beside and inside.
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["tree/src", "readable", "sibling", "readable/vault"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        for file in ["tree/.env", "tree/src/main", "readable/file", "readable/vault/key", "sibling/file"] {
            fs::write(root.path().join(file), file).unwrap();
        }
        Self { root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(name)
    }

    fn policy(&self) -> SandboxPolicy {
        SandboxPolicy {
            read_only: vec![self.path("readable")],
            read_write: vec![self.path("tree")],
            hidden: vec![self.path("tree/.env"), self.path("readable/vault")],
            ..SandboxPolicy::default()
        }
    }

    async fn run(&self, mechanism: Mechanism, policy: &SandboxPolicy, script: &str) -> Output {
        let command = sh(script).cwd(self.path("tree")).timeout(Duration::from_secs(15));
        wrap(command, policy, mechanism).unwrap().output(&never()).await.unwrap()
    }
}

fn text(output: &Output) -> String {
    format!("{} {}{}", output.exit, output.stdout.text(), output.stderr.text())
}

#[tokio::test]
async fn a_child_reads_and_writes_only_what_the_policy_shows() {
    for mechanism in mechanisms() {
        let place = Place::new();
        let script = "
            cat src/main ../readable/file; echo; echo new >src/new && cat src/new && mv src/new src/moved && rm src/moved
            for file in .env ../readable/vault/key ../sibling/file; do [ -z \"$(cat $file 2>/dev/null)\" ] || echo read $file; done
            for file in ../readable/file ../readable/new ../sibling/new /etc/new /usr/new; do (echo bad >$file) 2>/dev/null; done
            (echo bad >.env) 2>/dev/null; ln src/main ../sibling/link 2>/dev/null; cp .env src/copy 2>/dev/null
            echo changed >src/main";
        let output = place.run(mechanism, &place.policy(), script).await;
        assert_eq!(
            output.stdout.text(),
            "tree/src/mainreadable/file\nnew\n",
            "{mechanism}: {}",
            text(&output)
        );
        assert_eq!(fs::read_to_string(place.path("tree/src/main")).unwrap(), "changed\n", "{mechanism}");
        assert_eq!(fs::read_to_string(place.path("tree/.env")).unwrap(), "tree/.env", "{mechanism}");
        assert_eq!(fs::read_to_string(place.path("readable/file")).unwrap(), "readable/file", "{mechanism}");
        for absent in ["readable/new", "sibling/new", "sibling/link"] {
            assert!(!place.path(absent).exists(), "{mechanism}: {absent}");
        }
        assert!(
            fs::read_to_string(place.path("tree/src/copy")).unwrap_or_default().is_empty(),
            "{mechanism}"
        );
        assert!(!Path::new("/etc/new").exists() && !Path::new("/usr/new").exists());
    }
}

#[tokio::test]
async fn a_tree_without_exceptions_is_writable_at_its_top() {
    for mechanism in mechanisms() {
        let place = Place::new();
        let policy = SandboxPolicy { read_write: vec![place.path("tree")], ..SandboxPolicy::default() };
        let output = place.run(mechanism, &policy, "echo a >top && mkdir d && mv top d/ && cat d/top").await;
        assert_eq!(output.stdout.text(), "a\n", "{mechanism}: {}", text(&output));
    }
}

#[tokio::test]
async fn a_symlink_planted_in_the_tree_opens_nothing() {
    for mechanism in mechanisms() {
        let place = Place::new();
        std::os::unix::fs::symlink(place.path("sibling"), place.path("tree/link")).unwrap();
        let output = place.run(mechanism, &place.policy(), "cat link/file; echo x >link/new").await;
        assert!(!output.success() && output.stdout.text().is_empty(), "{mechanism}: {}", text(&output));
        assert!(!place.path("sibling/new").exists(), "{mechanism}");
    }
}

#[tokio::test]
async fn home_and_temporary_files_are_private() {
    for mechanism in mechanisms() {
        let place = Place::new();
        fs::create_dir(place.path("home")).unwrap();
        fs::write(place.path("home/.netrc"), "secret").unwrap();
        let policy = SandboxPolicy { home: Some(place.path("home")), ..place.policy() };
        let script = format!(
            "cat {}/.netrc; cd && echo x >mine && cat mine && t=$(mktemp) && echo y >$t && cat $t",
            place.path("home").display()
        );
        let command = sh(&script).cwd(place.path("tree")).env("HOME", place.path("home"));
        let output = wrap(command, &policy, mechanism).unwrap().output(&never()).await.unwrap();
        assert_eq!(output.stdout.text(), "x\ny\n", "{mechanism}: {}", text(&output));
        assert_eq!(fs::read_dir(place.path("home")).unwrap().count(), 1, "{mechanism}");
    }
}

#[tokio::test]
async fn a_home_that_the_policy_grants_is_kept_from_one_child_to_the_next() {
    for mechanism in mechanisms() {
        let place = Place::new();
        fs::create_dir(place.path("own")).unwrap();
        let mut policy = place.policy();
        policy.read_write.push(place.path("own"));
        for (script, told) in [("cd && echo x >mine && mktemp -u", "own"), ("cat ~/mine", "x")] {
            let command = sh(script).cwd(place.path("tree")).env("HOME", place.path("own"));
            let command = command.env("TMPDIR", place.path("own"));
            let output = wrap(command, &policy, mechanism).unwrap().output(&never()).await.unwrap();
            assert!(output.stdout.text().contains(told), "{mechanism}: {}", text(&output));
        }
    }
}

const CONNECT: &str = r#"
import socket, sys
kind, target = sys.argv[1:]
try:
    if kind == "tcp":
        socket.create_connection(("127.0.0.1", int(target)), timeout=5)
    elif kind == "udp":
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("127.0.0.1", int(target)))
    else:
        address = "\0" + target if kind == "abstract" else target
        socket.socket(socket.AF_UNIX).connect(address)
    print("connected")
except OSError as error:
    print("refused")
"#;

async fn connect(
    place: &Place,
    mechanism: Mechanism,
    policy: &SandboxPolicy,
    kind: &str,
    target: &str,
) -> String {
    let command = podium_process::Command::new("python3")
        .args(["-I", "-c", CONNECT, kind, target])
        .env("PATH", "/usr/bin:/bin")
        .cwd(place.path("tree"));
    let output = within(wrap(command, policy, mechanism).unwrap().output(&never())).await.unwrap();
    assert!(output.stderr.text().is_empty(), "{}", text(&output));
    output.stdout.text().trim().to_owned()
}

#[tokio::test]
async fn neither_loopback_nor_hidden_unix_sockets_can_be_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let place = Place::new();
    let _sockets: Vec<_> = ["sibling/socket", "readable/vault/socket", "tree/socket"]
        .map(|path| UnixListener::bind(place.path(path)).unwrap())
        .into();
    let name = format!("podium-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _abstract = UnixListener::bind_addr(&address).unwrap();
    let mut policy = place.policy();
    policy.hidden.push(place.path("tree/socket"));
    let (place, policy) = (&place, &policy);
    let reachable =
        async |mechanism, kind: &str, target: &str| connect(place, mechanism, policy, kind, target).await;
    for mechanism in mechanisms() {
        assert_eq!(reachable(mechanism, "tcp", &port).await, "refused", "{mechanism}");
        assert_eq!(reachable(mechanism, "abstract", &name).await, "refused", "{mechanism}");
        for socket in ["sibling/socket", "readable/vault/socket", "tree/socket"] {
            let socket = place.path(socket);
            assert_eq!(
                reachable(mechanism, "unix", socket.to_str().unwrap()).await,
                "refused",
                "{mechanism}"
            );
        }
    }
    // The same script connects where nothing confines it, so the refusals above mean something.
    assert_eq!(reachable(Mechanism::None, "tcp", &port).await, "connected");
    assert_eq!(reachable(Mechanism::None, "abstract", &name).await, "connected");
    let socket = place.path("sibling/socket");
    assert_eq!(reachable(Mechanism::None, "unix", socket.to_str().unwrap()).await, "connected");
}

#[tokio::test]
async fn network_and_single_sockets_can_be_allowed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let place = Place::new();
    let _socket = UnixListener::bind(place.path("sibling/socket")).unwrap();
    let with_network = SandboxPolicy { network: true, ..place.policy() };
    let with_socket = SandboxPolicy { sockets: vec![place.path("sibling/socket")], ..place.policy() };
    for mechanism in mechanisms() {
        assert_eq!(connect(&place, mechanism, &with_network, "tcp", &port).await, "connected", "{mechanism}");
        match wrap(sh("true"), &with_socket, mechanism) {
            Ok(_) => {
                let socket = place.path("sibling/socket");
                let answer = connect(&place, mechanism, &with_socket, "unix", socket.to_str().unwrap()).await;
                assert_eq!(answer, "connected", "{mechanism}");
            }
            // What can not be enforced is refused, not widened.
            Err(error) => {
                assert!(matches!(error, SandboxError::CannotEnforce { .. }), "{mechanism}: {error}")
            }
        }
    }
}

#[tokio::test]
async fn binds_move_a_folder_or_are_refused() {
    for mechanism in mechanisms() {
        let place = Place::new();
        let bind = Bind { from: place.path("readable"), to: place.path("sibling"), read_only: false };
        let policy = SandboxPolicy {
            binds: vec![bind],
            read_write: vec![place.path("tree")],
            ..SandboxPolicy::default()
        };
        let command = sh("cat ../sibling/file && echo moved >../sibling/new").cwd(place.path("tree"));
        match wrap(command, &policy, mechanism) {
            Ok(command) => {
                let output = command.output(&never()).await.unwrap();
                assert_eq!(output.stdout.text(), "readable/file", "{mechanism}: {}", text(&output));
                assert!(place.path("readable/new").exists() && !place.path("sibling/new").exists());
            }
            Err(error) => {
                assert_eq!(mechanism, Mechanism::Landlock);
                assert!(matches!(error, SandboxError::CannotEnforce { .. }), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn processes_outside_can_not_be_signalled_or_read() {
    for mechanism in mechanisms() {
        let place = Place::new();
        let mut outside =
            sh("read line").env("SECRET", "seen").stdin(podium_process::Stdin::Piped).spawn().unwrap();
        let pid = outside.pid();
        let script = format!("cat /proc/{pid}/environ 2>/dev/null; kill -9 {pid} 2>/dev/null; true");
        let output = place.run(mechanism, &place.policy(), &script).await;
        assert_eq!(output.stdout.text(), "", "{mechanism}");
        assert_eq!(
            outside.identity().unwrap().state(),
            podium_process::ProcessState::Alive,
            "{mechanism}: a confined child ended a process outside"
        );
        outside.kill().await.unwrap();
    }
}

#[tokio::test]
async fn a_confined_child_gets_its_grace_and_leaves_nothing() {
    for mechanism in mechanisms() {
        let place = Place::new();
        let script = "trap 'echo saved; exit 5' TERM; setsid sleep 1000 & echo ready >src/ready; wait";
        let command = sh(script).cwd(place.path("tree")).grace(Duration::from_secs(10));
        let command = wrap(command, &place.policy(), mechanism).unwrap();
        let cancel = never();
        let ready = place.path("tree/src/ready");
        let (output, ()) = tokio::join!(
            within(command.output(&cancel)),
            within(async {
                while !ready.exists() {
                    tokio::task::yield_now().await;
                }
                cancel.cancel();
            })
        );
        let output = output.unwrap();
        assert_eq!(
            (output.ended, output.exit.code),
            (Ended::Cancelled, Some(5)),
            "{mechanism}: {}",
            text(&output)
        );
        assert_eq!(output.stdout.text(), "saved\n", "{mechanism}");
    }
}

#[tokio::test]
async fn limits_of_the_policy_hold_inside() {
    for mechanism in mechanisms() {
        let place = Place::new();
        let limits = Limits { files: Some(40), file_size: Some(2048), ..Limits::default() };
        let policy = SandboxPolicy { limits, ..place.policy() };
        let output = place.run(mechanism, &policy, "ulimit -n; yes >src/big").await;
        assert_eq!(output.stdout.text(), "40\n", "{mechanism}: {}", text(&output));
        assert_eq!(fs::metadata(place.path("tree/src/big")).unwrap().len(), 2048, "{mechanism}");
    }
}

#[tokio::test]
async fn a_confined_child_dies_when_it_is_dropped() {
    for mechanism in mechanisms() {
        let place = Place::new();
        let command = sh("echo $$ >src/pid; exec sleep 1000").cwd(place.path("tree"));
        let child = wrap(command, &place.policy(), mechanism).unwrap().spawn().unwrap();
        let leader = child.identity().unwrap().clone();
        within(async {
            while !fs::read_to_string(place.path("tree/src/pid")).unwrap_or_default().ends_with('\n') {
                tokio::task::yield_now().await;
            }
        })
        .await;
        drop(child);
        within(watch_exit(&leader)).await.unwrap();
        if mechanism == Mechanism::Landlock {
            // Without a pid namespace the number is the same outside.
            let pid = fs::read_to_string(place.path("tree/src/pid")).unwrap();
            assert_eq!(pid.trim(), leader.pid.to_string());
        }
    }
}

/// What agents need most: the git folder of a linked worktree lies outside of its tree.
#[tokio::test]
async fn a_commit_in_a_linked_worktree_works_and_reaches_nothing_beside_it() {
    for mechanism in mechanisms() {
        let place = Place::new();
        let main = place.path("sibling");
        let git = async |script: &str| {
            let output = sh(script).cwd(&main).output(&never()).await.unwrap();
            assert!(output.exit.success(), "{script}: {}", text(&output));
            output.stdout.text().trim().to_owned()
        };
        git("git init -q -b main && git config user.name Ada && git config user.email ada@example.org").await;
        git("git add -A && git commit -qm first && git worktree add -q -b feat ../linked").await;
        let policy = SandboxPolicy {
            read_write: vec![place.path("linked"), main.join(".git")],
            read_only: vec![main.clone()],
            ..SandboxPolicy::default()
        };
        let script = "echo inside >new && git add -A && git commit -qm inside && git status --porcelain
            echo outside >../sibling/file; echo outside >../readable/file; true";
        let command = sh(script).cwd(place.path("linked")).timeout(Duration::from_secs(30));
        let output = wrap(command, &policy, mechanism).unwrap().output(&never()).await.unwrap();
        assert_eq!(git("git log --format=%s feat").await, "inside\nfirst", "{mechanism}: {}", text(&output));
        assert_eq!(git("git show feat:new").await, "inside", "{mechanism}");
        git("git fsck --strict").await;
        for beside in ["sibling/file", "readable/file"] {
            assert_eq!(fs::read_to_string(place.path(beside)).unwrap(), beside, "{mechanism}");
        }
    }
}
