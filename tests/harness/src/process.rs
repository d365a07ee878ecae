//! Processes as the kernel shows them. A zombie counts as dead: it only waits for its parent to look.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::Poll;

#[must_use]
pub fn is_alive(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // The name in parentheses may hold anything, also parentheses.
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().next());
    !matches!(state, None | Some("Z" | "X"))
}

/// Sends a signal. A process that is gone already is no fault.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// Asks politely: SIGTERM.
pub fn terminate(pid: u32) {
    signal(pid, Signal::TERM);
}

/// SIGKILL, and waits until the process is gone.
///
/// # Panics
/// When it does not die.
pub fn kill(pid: u32) {
    signal(pid, Signal::KILL);
    wait_for_end(pid, Duration::from_secs(10));
}

/// # Panics
/// When the process lives on.
pub fn wait_for_end(pid: u32, timeout: Duration) {
    Poll::new(timeout)
        .every(Duration::from_millis(2))
        .expect(&format!("process {pid} ends"), || (!is_alive(pid)).then_some(()));
}

/// The environment a process was started with.
#[must_use]
pub fn environment(pid: u32) -> Vec<(String, String)> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    bytes
        .split(|b| *b == 0)
        .filter_map(|pair| {
            let text = String::from_utf8_lossy(pair);
            text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
        })
        .collect()
}

#[must_use]
pub fn working_folder(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/cwd")).ok()
}

#[must_use]
pub fn command_line(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ").trim().to_owned()
}

/// Resident memory, in bytes.
///
/// # Panics
/// When the process is gone.
#[must_use]
pub fn resident_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_else(|| panic!("process {pid} is gone: its memory cannot be read")) * 1024
}

/// Living processes that were started with a variable of this value, this one left out.
#[must_use]
pub fn with_variable(name: &str, value: &OsStr) -> Vec<u32> {
    let wanted = [name.as_bytes(), b"=", value.as_bytes()].concat();
    living()
        .filter(|pid| {
            let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            bytes.split(|b| *b == 0).any(|pair| pair == wanted)
        })
        .collect()
}

/// Living processes that work in `folder` or below, this one left out.
#[must_use]
pub fn working_below(folder: &Path) -> Vec<u32> {
    living().filter(|pid| working_folder(*pid).is_some_and(|cwd| cwd.starts_with(folder))).collect()
}

fn living() -> impl Iterator<Item = u32> {
    let me = std::process::id();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(move |pid| *pid != me && is_alive(*pid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_child_is_found_by_its_variable_and_a_killed_one_is_dead() {
        let value = format!("harness-{}", std::process::id());
        let mut child = Command::new("sleep").arg("600").env("PODIUM_TEST_MARK", &value).spawn().unwrap();
        let pid = child.id();
        // Between fork and exec it still has this process' environment.
        crate::eventually("the child shows its variable", || {
            with_variable("PODIUM_TEST_MARK", OsStr::new(&value)) == [pid]
        });
        assert!(is_alive(pid) && resident_bytes(pid) > 0);
        assert_eq!(command_line(pid), "sleep 600");
        kill(pid);
        assert!(!is_alive(pid), "not even before it is reaped");
        child.wait().unwrap();
    }
}
