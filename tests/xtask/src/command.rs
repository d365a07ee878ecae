//! Child processes. Each has a deadline; those that run unattended have a process group of their own, which is ended
//! whole at the deadline or when xtask itself is told to stop.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How much of a log is shown when its command fails.
const TAIL_LINES: usize = 40;
/// Between asking a process group to end and ending it.
const GRACE: Duration = Duration::from_secs(5);

#[cfg(unix)]
const PAUSE: Duration = Duration::from_millis(20);

static STOPPING: AtomicBool = AtomicBool::new(false);
static RUNNING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Runs to the end with both output streams appended to `log`; the error of a failed command carries its tail.
pub(crate) fn logged(mut command: Command, log: &Path, limit: Duration) -> Result<()> {
    let text = describe(&command);
    let mut file = open_log(log)?;
    writeln!(file, "$ {text}")?;
    let start = file.metadata()?.len();
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let status = spawn(command, true).and_then(|child| wait(child, limit));
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            bail!("`{text}` failed ({status}); the end of {}:\n{}", log.display(), tail(log, start))
        }
        Err(error) => Err(error.context(format!("the end of {}:\n{}", log.display(), tail(log, start)))),
    }
}

/// Runs to the end with the output where ours goes. At a terminal the child stays in our process group, so that it
/// may draw progress and gets the interrupt key itself.
pub(crate) fn shown(mut command: Command, limit: Duration) -> Result<ExitStatus> {
    let attended = std::io::stdin().is_terminal();
    command.stdin(Stdio::null());
    wait(spawn(command, !attended)?, limit)
}

/// Standard output of a command that has to succeed.
pub(crate) fn output(mut command: Command, limit: Duration) -> Result<String> {
    let text = describe(&command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = finish(spawn(command, true)?, limit, Child::wait_with_output)?;
    if !output.status.success() {
        bail!("`{text}` failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{text}` printed something that is not UTF-8"))
}

/// Whether a quick question to a program was answered with success.
pub(crate) fn succeeds(mut command: Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let limit = Duration::from_secs(60);
    spawn(command, true).and_then(|child| wait(child, limit)).is_ok_and(|status| status.success())
}

pub(crate) fn wait(child: Child, limit: Duration) -> Result<ExitStatus> {
    finish(child, limit, |mut child| child.wait())
}

/// Starts a child; with `group` in a process group of its own, known to the signal handler.
pub(crate) fn spawn(mut command: Command, group: bool) -> Result<Child> {
    #[cfg(unix)]
    if group {
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
    }
    hold_while_stopping();
    let text = describe(&command);
    let child = command.spawn().with_context(|| format!("cannot start `{text}`"))?;
    if group {
        running().insert(child.id());
    }
    Ok(child)
}

/// Ends a child's whole group at once and reaps the child.
pub(crate) fn end(mut child: Child) {
    let id = child.id();
    signal(id, Signal::Kill);
    let _ = child.kill();
    let _ = child.wait();
    running().remove(&id);
}

fn finish<T: Send + 'static>(
    child: Child,
    limit: Duration,
    collect: impl FnOnce(Child) -> std::io::Result<T> + Send + 'static,
) -> Result<T> {
    let id = child.id();
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        let _ = done.send(collect(child));
    });
    let result = match ended.recv_timeout(limit) {
        Ok(result) => result.context("waiting for a child process failed"),
        Err(_) => {
            signal(id, Signal::Terminate);
            if ended.recv_timeout(GRACE).is_err() {
                signal(id, Signal::Kill);
            }
            Err(anyhow::anyhow!("not done after {} s, ended", limit.as_secs()))
        }
    };
    hold_while_stopping();
    running().remove(&id);
    result
}

/// On an interrupt or a request to end, no installer or test run is left behind. Some take a request to end as a
/// reason to tidy up first, so they get a while, and then no more.
pub(crate) fn end_children_on_signals() {
    #[cfg(unix)]
    {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]) else { return };
        thread::spawn(move || {
            if let Some(number) = signals.forever().next() {
                STOPPING.store(true, Ordering::SeqCst);
                let groups = running().clone();
                groups.iter().for_each(|id| signal(*id, Signal::Terminate));
                let asked = Instant::now();
                while groups.iter().any(|id| group_lives(*id)) && asked.elapsed() < GRACE {
                    thread::sleep(PAUSE);
                }
                groups.iter().for_each(|id| signal(*id, Signal::Kill));
                std::process::exit(128 + number);
            }
        });
    }
}

/// While the process is being ended, no work goes on and no result is reported: whoever waits here waits for the end.
fn hold_while_stopping() {
    while STOPPING.load(Ordering::SeqCst) {
        thread::park();
    }
}

#[derive(Clone, Copy)]
enum Signal {
    Terminate,
    Kill,
}

/// To the group where the child leads one, else to the child alone.
#[cfg(unix)]
fn signal(id: u32, signal: Signal) {
    use rustix::process::{Pid, Signal as Unix, kill_process, kill_process_group};
    let number = match signal {
        Signal::Terminate => Unix::TERM,
        Signal::Kill => Unix::KILL,
    };
    let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) else { return };
    if kill_process_group(pid, number).is_err() {
        let _ = kill_process(pid, number);
    }
}

#[cfg(unix)]
fn group_lives(id: u32) -> bool {
    use rustix::process::{Pid, test_kill_process_group};
    i32::try_from(id).ok().and_then(Pid::from_raw).is_some_and(|pid| test_kill_process_group(pid).is_ok())
}

#[cfg(not(unix))]
fn signal(id: u32, _: Signal) {
    let _ = Command::new("taskkill").args(["/T", "/F", "/PID", &id.to_string()]).output();
}

fn running() -> std::sync::MutexGuard<'static, BTreeSet<u32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open_log(log: &Path) -> Result<File> {
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder)?;
    }
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("cannot write {}", log.display()))
}

fn tail(log: &Path, from: u64) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let from = usize::try_from(from).unwrap_or(0).min(bytes.len());
    let text = String::from_utf8_lossy(&bytes[from..]).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let shown = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    shown.iter().map(|line| format!("  | {line}")).collect::<Vec<_>>().join("\n")
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_failure_shows_the_end_of_its_own_output_only() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("logs/one.log");
        logged(shell("echo earlier"), &log, Duration::from_secs(10)).unwrap();
        let error = logged(shell("echo broken >&2; exit 3"), &log, Duration::from_secs(10)).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("  | broken"), "{text}");
        assert!(!text.contains("  | earlier"), "{text}");
    }

    #[test]
    fn a_deadline_ends_grandchildren_too() {
        let folder = tempfile::tempdir().unwrap();
        let (log, alive) = (folder.path().join("log"), folder.path().join("alive"));
        rustix::fs::mkfifoat(rustix::fs::CWD, &alive, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)
            .unwrap();
        // The grandchild holds the pipe's writing end: reading ends only when it is gone.
        let reader = thread::spawn({
            let alive = alive.clone();
            move || fs::read(alive).unwrap()
        });
        let script = format!("(exec sleep 600) > '{}' & wait", alive.display());
        let start = Instant::now();
        let error = logged(shell(&script), &log, Duration::from_millis(200)).unwrap_err();
        assert!(format!("{error:#}").contains("not done after"), "{error:#}");
        reader.join().unwrap();
        assert!(start.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn output_of_a_failed_command_is_an_error_with_its_words() {
        let error = output(shell("echo why >&2; exit 1"), Duration::from_secs(10)).unwrap_err();
        assert!(format!("{error:#}").contains("why"), "{error:#}");
        assert_eq!(output(shell("printf yes"), Duration::from_secs(10)).unwrap(), "yes");
    }
}
