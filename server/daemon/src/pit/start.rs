//! `melody/run` and `melody/validate`.

use podium_melody::{Document, Format, Melody, Severity};
use podium_protocol::{
    MelodyDiagnostic, MelodyPosition, MelodyRange, MelodyRunParams, MelodyRunStatus, MelodyStarted,
    MelodyValidateParams, MelodyValidated, NodeCounts, WireError,
};
use podium_sessions::Env;

use super::operators::without_keys;
use super::rows::RunRow;
use super::{Pit, drive, inputs, place, rows};
use crate::call::Call;

/// Faults that one answer tells.
const MOST_FAULTS: usize = 1_000;
/// Faults that one sentence tells.
const TOLD: usize = 3;
/// Longest id of a run that a client makes up.
const LONGEST_ID: usize = 64;

pub(crate) async fn validate(call: Call, params: MelodyValidateParams) -> Result<MelodyValidated, WireError> {
    if call.agent().is_some() && params.text.is_none() {
        return Err(WireError::user("an agent gives the melody itself, as `text`"));
    }
    let (text, format) = place::melody(params.file.as_deref(), params.uri.as_deref(), params.text).await?;
    let document = read(&call.daemon.pit, text, format).await?.0;
    let complexity = document.melody.as_ref().map(podium_melody::complexity);
    let valid =
        document.melody.is_some() && !document.diagnostics.iter().any(podium_melody::Diagnostic::is_error);
    let diagnostics = document.diagnostics.iter().take(MOST_FAULTS).map(told).collect();
    Ok(MelodyValidated { valid, diagnostics, complexity })
}

fn told(fault: &podium_melody::Diagnostic) -> MelodyDiagnostic {
    let place = |at: podium_melody::Position| MelodyPosition {
        line: u32::try_from(at.line).unwrap_or(u32::MAX),
        column: u32::try_from(at.column).unwrap_or(u32::MAX),
    };
    let severity = match fault.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    MelodyDiagnostic {
        code: fault.code.to_string(),
        severity: severity.to_owned(),
        message: fault.message.clone(),
        hint: fault.hint.clone(),
        node: fault.node.clone(),
        range: MelodyRange { start: place(fault.range.start), end: place(fault.range.end) },
    }
}

pub(crate) async fn run(call: Call, params: MelodyRunParams) -> Result<MelodyStarted, WireError> {
    let id = params.run.clone().unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
    let fine = !id.is_empty()
        && id.len() <= LONGEST_ID
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !fine {
        return Err(WireError::usage("the id of a run has 1 to 64 letters, digits or `-`"));
    }
    let place = place::of(&call, &params.at).await?;
    if call.agent().is_some() && params.text.is_none() {
        return Err(WireError::user("an agent gives the melody itself, as `text`"));
    }
    let (text, format) = place::melody(params.file.as_deref(), params.at.uri.as_deref(), params.text).await?;
    let (document, text) = read(&call.daemon.pit, text, format).await?;
    let melody = sound(document)?;
    let plan = drive::plan(&call.daemon.pit, &melody).await?;
    let given = inputs::typed(&melody, params.inputs)?;
    let given = plan.inputs(given).map_err(|error| WireError::usage(error.message))?;
    let row = RunRow {
        number: 0,
        id: id.clone(),
        melody: melody.id.clone(),
        name: if melody.name.is_empty() { melody.id.clone() } else { melody.name.clone() },
        version: melody.version.clone(),
        text_hash: blake3::hash(text.as_bytes()).to_hex().to_string(),
        folder: place.folder,
        repo: place.worktree.as_ref().map(|worktree| worktree.repo.clone()),
        worktree: place.worktree.as_ref().map(|worktree| worktree.id.clone()),
        started_by: call.acting(None)?,
        session: call.agent().map(|(session, _)| session.to_owned()),
        variables: kept(&call.env),
        inputs: given,
        status: MelodyRunStatus::Queued,
        outputs: serde_json::Map::new(),
        error: None,
        nodes: NodeCounts { total: melody.nodes.len() as u64, ..NodeCounts::default() },
        elapsed_us: 0,
        created_at: 0,
        ended_at: None,
    };
    let format = if format == Format::Json { "json" } else { "toml" };
    // A daemon that takes up open runs waits until this one is at work.
    let _turn = call.daemon.pit.turn(&id).await;
    let (row, is_new) = rows::insert(&call.daemon.store, row, format, text).await?;
    if !is_new {
        super::owned(&call, &row.id).await?;
    }
    let info = row.info();
    if is_new {
        drive::begin(&call.daemon, row, &melody, plan, call.env.clone(), place.worktree).await?;
    }
    Ok(MelodyStarted { run: id, info })
}

/// Variables that a next daemon runs commands with. No secrets: those are kept in memory only.
fn kept(env: &Env) -> Env {
    let plain = |name: &str, value: &str| {
        let is_proxy = name.to_ascii_lowercase().ends_with("_proxy");
        !(name.starts_with("PIP_") || (is_proxy && value.contains('@')))
    };
    without_keys(env).into_iter().filter(|(name, value)| plain(name, value)).collect()
}

/// Reads a melody off the threads that serve; its text comes back.
pub(super) async fn read(pit: &Pit, text: String, format: Format) -> Result<(Document, String), WireError> {
    let catalogue = std::sync::Arc::clone(&pit.catalogue);
    let read = move || (podium_melody::read(&text, format, &catalogue), text);
    let read = tokio::task::spawn_blocking(read).await;
    read.map_err(|_| WireError::internal("reading the melody ended unexpectedly"))
}

/// The melody, where nothing keeps it from running.
pub(super) fn sound(document: Document) -> Result<Melody, WireError> {
    let faults: Vec<_> = document.diagnostics.iter().filter(|fault| fault.is_error()).collect();
    if let (true, Some(melody)) = (faults.is_empty(), document.melody) {
        return Ok(melody);
    }
    let line =
        |fault: &&podium_melody::Diagnostic| format!("line {}: {}", fault.range.start.line, fault.message);
    let told: Vec<String> = faults.iter().take(TOLD).map(line).collect();
    let more = faults.len().saturating_sub(TOLD);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let error = WireError::user(format!("the melody cannot run: {}{more}", told.join("; ")));
    Err(error.hint("`podium melody validate FILE` tells every fault"))
}
