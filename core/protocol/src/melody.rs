//! Melodies: workflow files that are checked and run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{MelodyRun, RepoSelector};

/// Largest melody that is run, in bytes. It travels within one frame.
pub const MAX_MELODY: usize = 8 * 1024 * 1024;

/// Starts a run of a melody and answers at once; `pit/attach` streams it. The run goes on by itself, also in a next
/// daemon.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MelodyRunParams {
    /// Where it runs: the worktree that this place lies in, or the folder itself outside of any repository.
    #[serde(flatten)]
    pub at: RepoSelector,
    /// File of the melody, absolute. Its ending tells the format: `.json`, else TOML. Absent: the place of `uri`.
    #[serde(default)]
    pub file: Option<String>,
    /// The melody itself, at most 8 MiB. Absent: what the file holds.
    #[serde(default)]
    pub text: Option<String>,
    /// Inputs by their names. What is absent takes its default.
    #[serde(default)]
    pub inputs: Map<String, Value>,
    /// Id of the run, made up by the client so that it may ask twice: a run of that id is the answer.
    #[serde(default)]
    pub run: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MelodyStarted {
    /// Id of the run.
    pub run: String,
    pub info: MelodyRun,
}

/// Checks a melody without running it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MelodyValidateParams {
    /// `file:` URI of the melody.
    #[serde(default)]
    pub uri: Option<String>,
    /// File of the melody, absolute.
    #[serde(default)]
    pub file: Option<String>,
    /// The melody itself, at most 8 MiB. Absent: what the file holds.
    #[serde(default)]
    pub text: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MelodyValidated {
    /// Whether it can be run.
    pub valid: bool,
    /// In the order of the file; at most 1,000.
    pub diagnostics: Vec<MelodyDiagnostic>,
    /// 1 to 10, from depth, width and fan-in; absent where it cannot be read.
    pub complexity: Option<u8>,
}

/// A fault of a melody, with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MelodyDiagnostic {
    /// `CycleDetected`, `DuplicateNodeId`, `InvalidEdge`, ...
    pub code: String,
    /// `error` or `warning`.
    pub severity: String,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    pub node: Option<String>,
    pub range: MelodyRange,
}

/// Part of a file, its end excluded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MelodyRange {
    pub start: MelodyPosition,
    pub end: MelodyPosition,
}

/// A place as people count it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MelodyPosition {
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
}
