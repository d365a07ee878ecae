use std::{io::Write, sync::OnceLock, time::Duration};

use super::{Mechanism, SandboxPolicy, wrap};
use crate::{Command, ProcessError};

/// What this machine can confine with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxReport {
    /// Best first; [`Mechanism::None`] is last and always available.
    pub mechanisms: Vec<MechanismReport>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MechanismReport {
    pub mechanism: Mechanism,
    /// Why it can not be used here; `None` if it works.
    pub unavailable: Option<String>,
    /// What it can not do although it is available; each completes "it cannot ...".
    pub cannot: &'static [&'static str],
}

impl MechanismReport {
    pub fn available(&self) -> bool {
        self.unavailable.is_none()
    }
}

impl SandboxReport {
    /// The best mechanism that works; [`Mechanism::None`] if no real one does.
    pub fn best(&self) -> Mechanism {
        self.mechanisms
            .iter()
            .find(|report| report.available())
            .map_or(Mechanism::None, |report| report.mechanism)
    }

    pub fn of(&self, mechanism: Mechanism) -> Option<&MechanismReport> {
        self.mechanisms.iter().find(|report| report.mechanism == mechanism)
    }
}

const PATIENCE: Duration = Duration::from_secs(10);

/// Tries each mechanism on a tiny child that must not be able to read a hidden file. Once per process; the first call
/// blocks for some 10 ms, so async callers make it on a blocking thread.
pub fn probe() -> &'static SandboxReport {
    static REPORT: OnceLock<SandboxReport> = OnceLock::new();
    REPORT.get_or_init(|| {
        let report = |mechanism| {
            let unavailable = if mechanism == Mechanism::None { None } else { try_out(mechanism).err() };
            MechanismReport { mechanism, unavailable, cannot: cannot(mechanism) }
        };
        SandboxReport { mechanisms: Mechanism::ALL.map(report).into() }
    })
}

fn cannot(mechanism: Mechanism) -> &'static [&'static str] {
    match mechanism {
        #[cfg(target_os = "linux")]
        Mechanism::Bubblewrap => super::bubblewrap::CANNOT,
        #[cfg(target_os = "linux")]
        Mechanism::Landlock => super::landlock::CANNOT,
        #[cfg(not(target_os = "linux"))]
        Mechanism::Bubblewrap | Mechanism::Landlock => &[],
        Mechanism::None => &["confine anything"],
    }
}

fn try_out(mechanism: Mechanism) -> Result<(), String> {
    let mut hidden = tempfile::NamedTempFile::new().map_err(|error| chain(&error))?;
    hidden.write_all(b"hidden").map_err(|error| chain(&error))?;
    let script = r#"if cat -- "$1" >/dev/null 2>&1 && [ -s "$1" ]; then exit 42; fi; echo confined"#;
    let command = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(hidden.path())
        .inherit_env()
        .timeout(PATIENCE)
        .capture(4096);
    let policy = SandboxPolicy { hidden: vec![hidden.path().to_owned()], ..SandboxPolicy::default() };
    let command = wrap(command, &policy, mechanism).map_err(|error| chain(&error))?;
    let output = command.output_blocking().map_err(|error: ProcessError| chain(&error))?;
    if output.success() && output.stdout.bytes().as_ref() == b"confined\n" {
        return Ok(());
    }
    let stderr = output.stderr.text();
    let reason = stderr.lines().next().filter(|line| !line.is_empty());
    Err(match (output.exit.code, reason) {
        (Some(42), _) => "a trial child could read a hidden file".into(),
        (_, Some(reason)) => format!("a trial child failed: {reason}"),
        (_, None) => format!("a trial child failed: {}", output.exit),
    })
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
