use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use podium_process::{
    Limits, ProcessIdentity, ProcessState,
    runner::{
        Attached, EndCause, Event, Launcher, RunnerError, Spec, is_alive, remove, run_from_stdin, runs,
    },
    sandbox::{self, Mechanism, SandboxPolicy},
    watch_exit,
};

use crate::support::{pid_in, within};

const RUNNER: &str = "PODIUM_TEST_AS_RUNNER";
const CLIENT: &str = "PODIUM_TEST_AS_CLIENT";

/// Not a test by itself: the other tests start this program with this name to have a runner.
#[test]
fn as_runner() {
    if std::env::var_os(RUNNER).is_some() {
        run_from_stdin();
    }
}

/// As [`as_runner`]: a client that is killed again and again. Goes on behind what is in the file `got`.
#[test]
fn as_client() {
    if let Some(folder) = std::env::var_os(CLIENT) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(client(Path::new(&folder)));
    }
}

/// Unique: whatever carries the mark of a run whose runner died is killed.
fn run_in(folder: &Path) -> String {
    format!("run-of-{}", folder.to_string_lossy())
}

async fn client(folder: &Path) {
    let got = folder.join("got");
    let mut file = fs::OpenOptions::new().create(true).append(true).open(&got).unwrap();
    let mut stored = file.metadata().unwrap().len();
    let mut attached = Attached::to(&folder.join("run"), &run_in(folder), stored).await.unwrap();
    let controls = attached.controls();
    if folder.join("inputs").exists() {
        // All of them again, as somebody does who does not know which arrived.
        for number in 1..=INPUTS {
            controls.write(number, format!("line {number}\n")).await;
        }
        controls.close_input(INPUTS + 1).await;
    }
    loop {
        match attached.next().await.unwrap() {
            Event::Output { offset, bytes } => {
                assert_eq!(offset, stored);
                file.write_all(&bytes).unwrap();
                stored += bytes.len() as u64;
                controls.acknowledge(stored).await;
            }
            Event::Ended(end) => {
                assert!(end.success(), "{end:?}");
                fs::write(folder.join("ended"), "").unwrap();
                return;
            }
        }
    }
}

const INPUTS: u64 = 3_000;

fn myself(name: &str) -> (PathBuf, Vec<OsString>) {
    let args = [format!("runner::{name}"), "--exact".into(), "--nocapture".into(), "--test-threads=1".into()];
    (std::env::current_exe().unwrap(), args.map(OsString::from).into())
}

fn launcher() -> Launcher {
    let (program, args) = myself("as_runner");
    Launcher { program, args, env: BTreeMap::from([(RUNNER.into(), "1".into())]) }
}

fn spec(folder: &Path, script: &str) -> Spec {
    let argv = ["/bin/sh", "-c", script].map(OsString::from).into();
    let env = BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]);
    Spec { env, cwd: folder.to_owned(), ..Spec::new(run_in(folder), folder.join("run"), argv) }
}

async fn started(spec: &Spec) -> Attached {
    within(launcher().start(spec)).await.unwrap();
    within(Attached::to(&spec.folder, &spec.run, 0)).await.unwrap()
}

/// Reads to the end, and acknowledges.
async fn rest(attached: &mut Attached) -> (Vec<u8>, podium_process::runner::AgentEnd) {
    let (controls, mut all) = (attached.controls(), Vec::new());
    loop {
        match attached.next().await.unwrap() {
            Event::Output { offset, bytes } => {
                all.extend(&bytes);
                controls.acknowledge(offset + bytes.len() as u64).await;
            }
            Event::Ended(end) => return (all, end),
        }
    }
}

/// Started but not waited for by name: found by what the runner wrote.
fn runner_of(folder: &Path) -> ProcessIdentity {
    let status: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.join("run/status.json")).unwrap()).unwrap();
    ProcessIdentity::of(status["runner"]["pid"].as_u64().unwrap().try_into().unwrap()).unwrap()
}

fn kill(identity: &ProcessIdentity) {
    // SAFETY: plain system call on a process that was started by this test.
    unsafe { libc::kill(identity.pid as i32, libc::SIGKILL) };
}

#[tokio::test]
async fn output_errors_and_exit_come_and_nothing_stays_behind() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(folder.path(), "cat; echo trouble >&2; exit 3");
    let mut attached = started(&spec).await;
    let controls = attached.controls();
    controls.write(1, "hello ").await;
    controls.write(2, "world\n").await;
    controls.write(2, "world\n").await;
    controls.write(1, "hello ").await;
    controls.close_input(3).await;
    let (output, end) = within(rest(&mut attached)).await;
    assert_eq!(String::from_utf8(output).unwrap(), "hello world\n");
    assert_eq!((end.code, end.cause, end.stderr.as_str()), (Some(3), EndCause::Itself, "trouble\n"));
    let runner = runner_of(folder.path());
    within(attached.finish()).await.unwrap();
    assert_eq!(runner.state(), ProcessState::Dead);
    assert_eq!(runs(folder.path()).unwrap(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn without_a_client_the_runner_ends_with_its_agent_and_leaves_all_output() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(folder.path(), "seq 1 100000; exit 4");
    within(launcher().start(&spec)).await.unwrap();
    within(async {
        while is_alive(&spec.folder) {
            // tidy-allow(sleep): whether a lock is free has to be looked at
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let expected: String = (1..=100_000).map(|n| format!("{n}\n")).collect();
    for from in [0, 77_777] {
        let mut attached = Attached::to(&spec.folder, &spec.run, from).await.unwrap();
        let (output, end) = within(rest(&mut attached)).await;
        assert!(output == expected.as_bytes()[from as usize..]);
        assert_eq!((end.code, end.cause), (Some(4), EndCause::Itself));
        // Asked again it says the same.
        assert_eq!(attached.next().await.unwrap(), Event::Ended(end));
    }
    remove(&spec.folder).unwrap();
}

#[tokio::test]
async fn clients_that_are_killed_lose_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // Slower than a client, so that the kills fall between the bytes, and more than may wait unacknowledged.
    let script = "i=0; while [ $i -lt 150 ]; do seq $((i * 2000)) $((i * 2000 + 1999)); i=$((i + 1)); sleep 0.02; done";
    let spec = Spec { backlog: 256 * 1024, ..spec(folder.path(), script) };
    let kills = killed_clients(folder.path(), &spec).await;
    let expected: String = (0..300_000).map(|n| format!("{n}\n")).collect();
    assert!(fs::read(folder.path().join("got")).unwrap() == expected.as_bytes());
    println!("{kills} clients were killed; 0 of {} bytes lost, 0 doubled", expected.len());
    assert!(kills >= 20, "only {kills} kills fell into the run");
}

#[tokio::test]
async fn input_that_is_sent_again_by_each_new_client_is_applied_once() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("inputs"), "").unwrap();
    let script = "n=0; while read line; do echo \"$line\"; n=$((n + 1)); [ $((n % 100)) = 0 ] && sleep 0.05; done; true";
    let spec = spec(folder.path(), script);
    let kills = killed_clients(folder.path(), &spec).await;
    let expected: String = (1..=INPUTS).map(|n| format!("line {n}\n")).collect();
    assert_eq!(fs::read_to_string(folder.path().join("got")).unwrap(), expected);
    println!("{kills} clients were killed; each of {INPUTS} inputs was applied once");
    assert!(kills >= 10, "only {kills} kills fell into the run");
}

/// Starts clients and kills them at random moments until one sees the end. How many were killed.
async fn killed_clients(folder: &Path, spec: &Spec) -> usize {
    within(launcher().start(spec)).await.unwrap();
    let (program, args) = myself("as_client");
    let mut kills = 0;
    let mut random = u64::from(std::process::id());
    while !folder.join("ended").exists() {
        let mut client = tokio::process::Command::new(&program)
            .args(&args)
            .env_clear()
            .env(CLIENT, folder)
            .stdout(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let life = Duration::from_millis(5 + (random >> 33) % 90);
        match tokio::time::timeout(life, client.wait()).await {
            Ok(status) => assert!(status.unwrap().success(), "a client failed after {kills} kills"),
            Err(_) => {
                client.kill().await.unwrap();
                kills += 1;
            }
        }
    }
    kills
}

#[tokio::test]
async fn a_killed_runner_takes_its_agent_along_and_what_was_written_is_still_given() {
    let folder = tempfile::tempdir().unwrap();
    let script = "seq 1 1000; setsid sh -c 'echo $$ >stray; exec sleep 1000' & \
        echo $$ >agent; echo last words >&2; wait";
    let mut attached = started(&spec(folder.path(), script)).await;
    let agent = pid_in(&folder.path().join("agent")).await;
    let stray = pid_in(&folder.path().join("stray")).await;
    let Event::Output { bytes, .. } = within(attached.next()).await.unwrap() else { panic!("no output") };
    within(async {
        while !folder.path().join("run/err").metadata().is_ok_and(|data| data.len() > 0) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    kill(&runner_of(folder.path()));
    let (more, end) = within(rest(&mut attached)).await;
    let expected: String = (1..=1000).map(|n| format!("{n}\n")).collect();
    assert_eq!(String::from_utf8([bytes, more].concat()).unwrap(), expected);
    assert_eq!((end.cause, end.stderr.as_str()), (EndCause::RunnerDied, "last words\n"));
    within(watch_exit(&agent)).await.unwrap();
    within(watch_exit(&stray)).await.unwrap();
    within(attached.finish()).await.unwrap();
}

#[tokio::test]
async fn a_flood_waits_for_its_reader_and_comes_whole() {
    const ALL: u64 = 1 << 30;
    let folder = tempfile::tempdir().unwrap();
    let spec = Spec { backlog: 8 << 20, ..spec(folder.path(), "yes 0123456789abcde | head -c 1073741824") };
    within(launcher().start(&spec)).await.unwrap();
    let runner = runner_of(folder.path());
    let on_disk = || -> u64 {
        let files = fs::read_dir(&spec.folder).unwrap();
        files.filter_map(|file| Some(file.ok()?.metadata().ok()?.len())).sum()
    };
    within(async {
        while on_disk() < 8 << 20 {
            // tidy-allow(sleep): how full a folder is has to be looked at
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let mut attached = Attached::to(&spec.folder, &spec.run, 0).await.unwrap();
    let controls = attached.controls();
    let pattern = b"0123456789abcde\n".repeat(1 << 16);
    let (mut seen, mut most) = (0, 0);
    let end = loop {
        match attached.next().await.unwrap() {
            Event::Output { offset, bytes } => {
                assert_eq!(offset, seen);
                let at = (offset % 16) as usize;
                assert!(bytes == pattern[at..at + bytes.len()], "wrong bytes behind {offset}");
                seen += bytes.len() as u64;
                if offset % (32 << 20) == 0 {
                    most = most.max(on_disk());
                }
                controls.acknowledge(seen).await;
            }
            Event::Ended(end) => break end,
        }
    };
    assert_eq!((seen, end.code), (ALL, Some(0)));
    let status = fs::read_to_string(format!("/proc/{}/status", runner.pid)).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").trim().parse().unwrap();
    println!(
        "1 GiB came through; the runner took {} MiB of memory, at most {} MiB of disk",
        peak >> 10,
        most >> 20
    );
    assert!(peak < 64 << 10 && most < 24 << 20, "{peak} KiB of memory, {most} bytes of disk");
    within(attached.finish()).await.unwrap();
}

#[tokio::test]
async fn an_agent_that_ignores_sigterm_forks_away_and_floods_is_ended_with_all_it_started() {
    let folder = tempfile::tempdir().unwrap();
    // The inner shell forks twice and leads a session of its own: its parent is dead, its group another.
    let script = "trap '' TERM; (setsid sh -c 'trap \"\" TERM; (echo $$ >inner; while :; do sleep 0.1; done) &' &) ; \
        echo $$ >agent; while :; do echo flood; done";
    let spec = Spec { backlog: 1 << 20, ..spec(folder.path(), script) };
    let mut attached = started(&spec).await;
    let agent = pid_in(&folder.path().join("agent")).await;
    within(async {
        while !folder.path().join("inner").exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let asked = Instant::now();
    attached.controls().end(Duration::from_millis(500)).await;
    // Nothing is acknowledged meanwhile: the end does not wait for the output to flow.
    let end = within(async {
        loop {
            if let Event::Ended(end) = attached.next().await.unwrap() {
                return end;
            }
        }
    })
    .await;
    println!("ended {} ms after it was asked to", asked.elapsed().as_millis());
    assert_eq!((end.cause, end.signal), (EndCause::Asked, Some(9)));
    assert_eq!(agent.state(), ProcessState::Dead);
    let cwd = folder.path().canonicalize().unwrap();
    let left: Vec<_> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|process| fs::read_link(process.join("cwd")).is_ok_and(|at| at == cwd))
        .collect();
    assert_eq!(left, Vec::<PathBuf>::new(), "processes of the agent live on");
    within(attached.finish()).await.unwrap();
}

#[tokio::test]
async fn an_agent_that_ends_when_asked_is_not_killed() {
    let folder = tempfile::tempdir().unwrap();
    let script = "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done";
    let mut attached = started(&spec(folder.path(), script)).await;
    let ready = within(attached.next()).await.unwrap();
    assert_eq!(ready, Event::Output { offset: 0, bytes: b"ready\n".to_vec() });
    attached.controls().end(Duration::from_secs(30)).await;
    let (output, end) = within(rest(&mut attached)).await;
    assert_eq!((output.as_slice(), end.code, end.cause), (&b"bye\n"[..], Some(7), EndCause::Asked));
    within(attached.finish()).await.unwrap();
}

#[tokio::test]
async fn with_nobody_attached_for_too_long_all_ends() {
    let folder = tempfile::tempdir().unwrap();
    let script = "echo begun; echo $$ >agent; exec sleep 1000";
    let spec = Spec { abandoned_after: Duration::from_millis(300), ..spec(folder.path(), script) };
    let attached = started(&spec).await;
    let agent = pid_in(&folder.path().join("agent")).await;
    // As long as somebody is attached the time does not run.
    // tidy-allow(sleep): that nothing happens shows only in time
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(agent.state(), ProcessState::Alive);
    drop(attached);
    within(watch_exit(&agent)).await.unwrap();
    let mut attached = within(Attached::to(&spec.folder, &spec.run, 0)).await.unwrap();
    let (output, end) = within(rest(&mut attached)).await;
    assert_eq!((output.as_slice(), end.cause), (&b"begun\n"[..], EndCause::Abandoned));
    within(attached.finish()).await.unwrap();
}

#[tokio::test]
async fn who_attaches_later_takes_over() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(folder.path(), "read line; echo \"got $line\"");
    let mut first = started(&spec).await;
    let mut second = within(Attached::to(&spec.folder, &spec.run, 0)).await.unwrap();
    assert!(matches!(within(first.next()).await, Err(RunnerError::Displaced)));
    first.controls().write(1, "from the first\n").await;
    second.controls().write(1, "from the second\n").await;
    let (output, _) = within(rest(&mut second)).await;
    assert_eq!(String::from_utf8(output).unwrap(), "got from the second\n");
    within(second.finish()).await.unwrap();
}

#[tokio::test]
async fn what_can_not_be_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(folder.path(), "echo hi; sleep 1000");
    let nothing = Attached::to(&spec.folder, &spec.run, 0).await.err();
    assert!(matches!(nothing, Some(RunnerError::NoSuchRun { .. })), "{nothing:?}");
    let mut attached = started(&spec).await;
    assert!(matches!(attached.next().await.unwrap(), Event::Output { .. }));
    let again = within(launcher().start(&spec)).await.err();
    assert!(matches!(again, Some(RunnerError::Runs { .. })), "{again:?}");
    assert!(matches!(remove(&spec.folder), Err(RunnerError::Runs { .. })));
    let other = Attached::to(&spec.folder, "run-2", 0).await.err();
    assert!(matches!(other, Some(RunnerError::NoSuchRun { .. })), "{other:?}");
    let mut beyond = Attached::to(&spec.folder, &spec.run, 1_000).await.unwrap();
    assert!(matches!(within(beyond.next()).await, Err(RunnerError::Gone { offset: 1_000, .. })));
    let mut last = Attached::to(&spec.folder, &spec.run, 3).await.unwrap();
    last.controls().end(Duration::ZERO).await;
    within(rest(&mut last)).await;
    within(last.finish()).await.unwrap();

    let missing = Spec { argv: vec!["no-such-agent".into()], ..spec };
    let error = within(launcher().start(&missing)).await.unwrap_err();
    assert!(matches!(&error, RunnerError::Agent { reason } if reason.contains("no-such-agent")), "{error}");
}

#[tokio::test]
async fn variables_reach_the_agent_and_nobody_else() {
    const SECRET: &str = "hunter2-hunter2";
    let folder = tempfile::tempdir().unwrap();
    let mut spec = spec(folder.path(), "echo ${#KEY}; exec sleep 1000");
    spec.env.insert("KEY".into(), SECRET.into());
    let mut attached = started(&spec).await;
    let Event::Output { bytes, .. } = within(attached.next()).await.unwrap() else { panic!("no output") };
    assert_eq!(bytes, format!("{}\n", SECRET.len()).as_bytes());
    let process = format!("/proc/{}", runner_of(folder.path()).pid);
    let mut places = vec![format!("{process}/cmdline").into(), format!("{process}/environ").into()];
    places.extend(fs::read_dir(&spec.folder).unwrap().map(|entry| entry.unwrap().path()));
    for place in places {
        let content = fs::read(&place).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&content).contains(SECRET), "{} holds it", place.display());
    }
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&spec.folder), 0o700);
    for entry in fs::read_dir(&spec.folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
    }
    attached.controls().end(Duration::ZERO).await;
    within(rest(&mut attached)).await;
    within(attached.finish()).await.unwrap();
}

#[tokio::test]
async fn a_folder_with_a_path_longer_than_a_sockets_may_be_serves() {
    let folder = tempfile::tempdir().unwrap();
    let long = folder.path().join("a".repeat(120)).join("b".repeat(120));
    fs::create_dir_all(&long).unwrap();
    let spec = spec(&long, "echo here");
    let mut attached = started(&spec).await;
    assert_eq!(within(rest(&mut attached)).await.0, b"here\n");
    within(attached.finish()).await.unwrap();
}

#[tokio::test]
async fn an_agent_is_confined_and_limited_as_the_spec_says() {
    let folder = tempfile::tempdir().unwrap();
    let hidden = tempfile::tempdir().unwrap();
    let secret = hidden.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    let mechanisms = sandbox::probe().mechanisms.iter().filter(|report| report.available());
    for mechanism in mechanisms.map(|report| report.mechanism).filter(|it| *it != Mechanism::None) {
        let script =
            format!("cat {} 2>/dev/null || echo denied; ulimit -n; echo mine >made", secret.display());
        let policy = SandboxPolicy {
            read_write: vec![folder.path().to_owned()],
            limits: Limits { files: Some(55), ..Limits::default() },
            ..SandboxPolicy::default()
        };
        let spec = Spec { sandbox: Some((policy, mechanism)), ..spec(folder.path(), &script) };
        let mut attached = started(&spec).await;
        let (output, end) = within(rest(&mut attached)).await;
        assert_eq!(String::from_utf8(output).unwrap(), "denied\n55\n", "{mechanism}: {end:?}");
        assert_eq!(fs::read_to_string(folder.path().join("made")).unwrap(), "mine\n");
        within(attached.finish()).await.unwrap();
    }
}
