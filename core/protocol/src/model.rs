//! Local models: what is in the catalogue, what is on the disk.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelState {
    Absent,
    /// A fetch was interrupted; fetching again goes on where it stopped.
    Partial,
    Present,
    /// The file is there and is not what the catalogue pins.
    Corrupt,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelInfo {
    pub name: String,
    pub description: String,
    pub state: ModelState,
    pub path: String,
    /// Size when complete.
    pub bytes: u64,
    /// Bytes on the disk now.
    pub bytes_present: u64,
    pub sha256: String,
    pub licence: String,
    /// Where the weights come from.
    pub source: String,
    /// Whether the whole content was checked since the daemon started.
    pub verified: bool,
    pub loaded: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelListParams {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelList {
    pub models: Vec<ModelInfo>,
}

/// Fetch, verify and remove take this. Progress comes as `progress` notifications that carry the request's id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelParams {
    /// Absent: the default model.
    #[serde(default)]
    pub name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelChanged {
    pub model: ModelInfo,
    /// Whether anything had to be done.
    pub changed: bool,
}
