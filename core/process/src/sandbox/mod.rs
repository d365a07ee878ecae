//! One interface over the ways to confine a child.
//!
//! A [`SandboxPolicy`] lists what the child may see; everything else but the system's own folders is out of its reach.
//! Where entries lie within each other the most specific path wins, and `hidden` wins over the others on the same path.
//! Hidden paths are what they are when the child starts: one that does not exist yet can not be hidden.

mod report;
mod rules;

#[cfg(target_os = "linux")]
mod bubblewrap;
#[cfg(target_os = "linux")]
mod landlock;

use std::{fmt, io, path::PathBuf};

pub use report::{MechanismReport, SandboxReport, probe};
pub use rules::SYSTEM;

use crate::{Command, Limits};

/// What a confined child may reach. The system's program and configuration folders (`/usr`, `/etc`, ...) are always
/// readable; home and `/tmp` are empty and private. Paths need not be canonical, but absolute.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SandboxPolicy {
    pub read_only: Vec<PathBuf>,
    pub read_write: Vec<PathBuf>,
    pub hidden: Vec<PathBuf>,
    /// Shown at another place than they are.
    pub binds: Vec<Bind>,
    /// Unix sockets the child may connect to.
    pub sockets: Vec<PathBuf>,
    /// Whether any other host, or a loopback port of this one, can be reached.
    pub network: bool,
    /// The folder that is replaced by an empty one; default: the home of the user who runs this process.
    pub home: Option<PathBuf>,
    pub limits: Limits,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    pub from: PathBuf,
    pub to: PathBuf,
    pub read_only: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// `bwrap`: mount, pid and network namespaces.
    Bubblewrap,
    /// Landlock for files, seccomp for sockets; needs no program and no namespaces.
    Landlock,
    /// Nothing is confined; limits still hold.
    None,
}

impl Mechanism {
    /// Best first.
    pub const ALL: [Self; 3] = [Self::Bubblewrap, Self::Landlock, Self::None];

    pub fn name(self) -> &'static str {
        match self {
            Self::Bubblewrap => "bubblewrap",
            Self::Landlock => "landlock",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    #[error("sandbox `{mechanism}` is not available: {why}")]
    Unavailable { mechanism: Mechanism, why: String },
    /// The child would get more than the policy says, so it is not started.
    #[error("sandbox `{mechanism}` can not enforce {what}")]
    CannotEnforce { mechanism: Mechanism, what: String },
    #[error("sandbox path `{}` can not be used", path.display())]
    Path {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("sandbox `{mechanism}` could not be prepared")]
    Prepare {
        mechanism: Mechanism,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Confines `command`. Apply last: what `bwrap` runs is fixed here.
///
/// # Errors
/// If the mechanism is missing, or could only enforce less than the policy says.
pub fn wrap(
    mut command: Command,
    policy: &SandboxPolicy,
    mechanism: Mechanism,
) -> Result<Command, SandboxError> {
    command.limits = command.limits.tightened_by(&policy.limits);
    match mechanism {
        Mechanism::None => Ok(command),
        #[cfg(target_os = "linux")]
        Mechanism::Bubblewrap => bubblewrap::wrap(command, policy),
        #[cfg(target_os = "linux")]
        Mechanism::Landlock => landlock::wrap(command, policy),
        #[cfg(not(target_os = "linux"))]
        _ => Err(SandboxError::Unavailable { mechanism, why: "it needs Linux".into() }),
    }
}

/// What a wrapped command carries until it is started.
#[derive(Debug, Default)]
pub(crate) struct Confinement {
    #[cfg(target_os = "linux")]
    landlock: Option<landlock::Restriction>,
    scratch: Option<tempfile::TempDir>,
}

impl Confinement {
    pub(crate) fn into_scratch(self) -> Option<tempfile::TempDir> {
        self.scratch
    }

    #[cfg(unix)]
    pub(crate) fn child_side(&self) -> ChildSide {
        ChildSide {
            #[cfg(target_os = "linux")]
            landlock: self.landlock.as_ref().map(landlock::Restriction::child_side),
        }
    }
}

/// The part applied between fork and exec.
#[cfg(unix)]
pub(crate) struct ChildSide {
    #[cfg(target_os = "linux")]
    landlock: Option<landlock::ChildSide>,
}

#[cfg(unix)]
impl ChildSide {
    /// Async-signal-safe.
    pub(crate) fn apply(&self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if let Some(landlock) = &self.landlock {
            landlock.apply()?;
        }
        Ok(())
    }
}
