//! The machine that the numbers belong to.

use std::fmt;
use std::fs;
use std::process::Command;

use serde::Serialize;

#[derive(Serialize)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    memory_gib: f64,
    kernel: String,
    git: String,
    /// File system type of the temporary folder, where all state of the run lies.
    disk: String,
    commit: String,
}

impl Machine {
    pub(crate) fn look() -> Self {
        let checkout = podium_harness::checkout();
        let commit =
            said(Command::new("git").args(["describe", "--always", "--dirty"]).current_dir(checkout));
        Self {
            cpu: field("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: memory_gib(),
            kernel: said(Command::new("uname").args(["-sr"])),
            git: said(Command::new("git").arg("--version")),
            disk: said(Command::new("stat").args(["-f", "-c", "%T"]).arg(std::env::temp_dir())),
            commit,
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, cores, memory_gib, kernel, git, disk, commit } = self;
        write!(f, "{cpu}, {cores} cores, {memory_gib:.0} GiB, {kernel}, {disk}, {git}, at {commit}")
    }
}

/// One-minute load average.
pub(crate) fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

fn memory_gib() -> f64 {
    let total = field("/proc/meminfo", "MemTotal");
    let kib = total.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0 / 1024.0
}

fn field(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_once(':')).map_or("?", |(_, value)| value.trim()).to_owned()
}

fn said(command: &mut Command) -> String {
    let output = command.output().ok().filter(|output| output.status.success());
    output.map_or_else(|| "?".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
