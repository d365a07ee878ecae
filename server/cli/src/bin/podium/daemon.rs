//! The daemon from outside: start, status, stop.

use std::process::ExitCode;
use std::time::Duration;

use podium_cli::context::Context;
use podium_cli::output::{Ending, Failure, Output, usage};
use podium_cli::progress::waiting;
use podium_cli::style::{Painter, printable, size};
use podium_cli::time::duration;
use podium_client::{Client, ConnectionState, StartPolicy};
use podium_config::Home;
use podium_protocol::{
    DaemonStatus, ErrorKind, Status, StatusParams, Stop, StopParams, StopReason, WireError,
};
use serde::Serialize;

use crate::args::{DaemonArgs, DaemonCommand};
use crate::logs;

/// Longest wait for a daemon that was told to stop: it writes what is under way.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// Pause between two looks at a lock that is about to be free.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Runs the daemon in this process, until it is told to stop.
pub(crate) fn foreground(output: Output) -> ExitCode {
    let home = match home() {
        Ok(home) => home,
        Err(failure) => return output.end(Err(failure)),
    };
    match podium_daemon::run(podium_daemon::Options::new(home)) {
        Ok(code) => code,
        Err(error) => output.end(Err(error.to_wire().into())),
    }
}

pub(crate) async fn run(context: &Context, args: DaemonArgs) -> Ending {
    if args.foreground {
        return Err(usage("--foreground starts a daemon and takes no command", "podium daemon --foreground"));
    }
    match args.command {
        None => status(context).await,
        Some(DaemonCommand::Status) => print_status(context, &context.client_of_running()?).await,
        Some(DaemonCommand::Stop) => stop(context).await,
        Some(DaemonCommand::Logs(args)) => logs::run(context, &args).await,
    }
}

/// The daemon's state; one is started where none runs.
pub(crate) async fn status(context: &Context) -> Ending {
    print_status(context, &context.client()?).await
}

async fn print_status(context: &Context, client: &Client) -> Ending {
    let status = waiting(&context.output, "connecting", client.call::<Status>(StatusParams {})).await?;
    context.output.reply(&status, |paint| render(&status, paint))?;
    Ok(0)
}

fn render(status: &DaemonStatus, paint: Painter) -> String {
    format!(
        "{} {}, pid {}, up {}, {}\n  home {}\n  socket {}\n  {} connected, {} running, {} known, event {}\n",
        paint.green("podium"),
        status.version,
        status.pid,
        duration(status.uptime_ms),
        size(status.rss_bytes),
        printable(&status.home),
        printable(&status.socket),
        podium_cli::style::count(u64::from(status.clients), "client"),
        podium_cli::style::count(u64::from(status.sessions_running), "session"),
        podium_cli::style::count(u64::from(status.worktrees), "worktree"),
        status.head_seq,
    )
}

/// What became of a daemon that was told to stop. All absent or 0 where none ran.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stopped {
    pub(crate) pid: Option<u32>,
    pub(crate) sessions_interrupted: u32,
}

async fn stop(context: &Context) -> Ending {
    let client = context.client_of_running()?;
    let stopped = waiting(&context.output, "stopping the daemon", stop_and_wait(&client)).await?;
    context.output.reply(&stopped, |paint| match stopped.pid {
        None => "no daemon is running".to_owned(),
        Some(pid) => {
            let n = u64::from(stopped.sessions_interrupted);
            let sessions = podium_cli::style::count(n, "session");
            let rest = if n > 0 { format!("; {sessions} can be resumed") } else { String::new() };
            format!("{} the daemon (pid {pid}) has stopped{rest}", paint.green("✓"))
        }
    })?;
    Ok(0)
}

/// Stops the daemon of `client` and waits until its connection is closed. No daemon is no error.
///
/// # Errors
/// `busy` when it does not stop in time; what the daemon answers.
pub(crate) async fn stop_and_wait(client: &Client) -> Result<Stopped, WireError> {
    // Told apart from a refused stop: only a daemon that answers can be stopped.
    match client.call::<Status>(StatusParams {}).await {
        Ok(_) => {}
        Err(error) if error.kind == ErrorKind::Unavailable => return Ok(Stopped::default()),
        Err(error) => return Err(error),
    }
    let mut state = client.state();
    let answer = client.call::<Stop>(StopParams { reason: StopReason::Deliberate }).await?;
    let gone = state.wait_for(|s| !matches!(s, ConnectionState::Connected { .. }));
    let closed = tokio::time::timeout(STOP_TIMEOUT, gone).await.is_ok();
    if closed && wait_for_exit(answer.pid).await {
        return Ok(Stopped { pid: Some(answer.pid), sessions_interrupted: answer.sessions_interrupted });
    }
    Err(WireError::busy(format!("the daemon (pid {}) is still writing", answer.pid))
        .hint("`podium daemon logs` shows at what"))
}

/// Waits until a process is gone: what follows a stop may delete its files.
async fn wait_for_exit(pid: u32) -> bool {
    let deadline = tokio::time::Instant::now() + STOP_TIMEOUT;
    while is_running(pid) {
        if tokio::time::Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    true
}

/// Whether a process runs. One that ended and was not yet collected by its parent does not.
#[cfg(unix)]
pub(crate) fn is_running(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else { return false };
    if rustix::process::test_kill_process(pid).is_err() {
        return false;
    }
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    // The name in parentheses may hold anything; the state is the first word behind it.
    !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
}

#[cfg(not(unix))]
pub(crate) fn is_running(_pid: u32) -> bool {
    false
}

/// Options for a client of another home than the process' own.
#[must_use]
pub(crate) fn options(home: Home, start: StartPolicy) -> podium_client::ConnectOptions {
    podium_client::ConnectOptions {
        start,
        program: std::env::current_exe().ok(),
        ..podium_client::ConnectOptions::new(home, "podium")
    }
}

/// The home of this process.
///
/// # Errors
/// When there is no place for Podium's state.
pub(crate) fn home() -> Result<Home, Failure> {
    Home::from_process()
        .map_err(|e| WireError::user(e.to_string()).hint("set PODIUM_HOME to an absolute path").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_reads_well() {
        let status = DaemonStatus {
            pid: 4711,
            version: "0.1.0".into(),
            protocol: 1,
            uptime_ms: 3_725_000,
            socket: "/h/run/daemon.sock".into(),
            rss_bytes: 31_457_280,
            home: "/h".into(),
            clients: 1,
            sessions_running: 0,
            worktrees: 3,
            head_seq: 99,
        };
        insta::assert_snapshot!(render(&status, Painter::new(false)));
    }

    #[cfg(unix)]
    #[test]
    fn a_process_that_ended_does_not_run_though_nobody_collected_it() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        assert!(is_running(child.id()));
        child.kill().unwrap();
        // Not collected before the assertion: it stays a zombie until `wait`.
        while is_running(child.id()) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(!is_running(child.id()));
        assert!(!is_running(0));
    }
}
