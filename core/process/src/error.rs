use std::{io, path::PathBuf};

use crate::sandbox::SandboxError;

/// Why a child could not be run. That it ran and failed is told by [`crate::Exit`], not here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    #[error("program `{program}` was not found")]
    NotFound { program: String },
    #[error("working directory `{}` is not a directory", path.display())]
    NoWorkingDirectory { path: PathBuf },
    #[error("could not start `{program}`")]
    Spawn {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("could not wait for `{program}`")]
    Wait {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("could not watch process {pid}")]
    Watch {
        pid: u32,
        #[source]
        source: io::Error,
    },
    #[error("no process has pid {pid}")]
    NoSuchProcess { pid: u32 },
    #[error("could not read the identity of process {pid}")]
    Identity {
        pid: u32,
        #[source]
        source: io::Error,
    },
    #[error("could not start a runtime for a blocking call")]
    Runtime(#[source] io::Error),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}
