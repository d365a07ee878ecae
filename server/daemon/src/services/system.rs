//! `ping`, `status`, `doctor`, `stop`.

use std::sync::atomic::Ordering;

use podium_protocol::{
    DaemonStatus, DoctorParams, DoctorReport, PROTOCOL_VERSION, PingParams, Pong, StatusParams, StopParams,
    StopReason, Stopping, WireError,
};
use podium_sessions::StopCause;

use crate::call::Call;
use crate::doctor;

pub(crate) async fn ping(_call: Call, params: PingParams) -> Result<Pong, WireError> {
    Ok(Pong { payload: params.payload })
}

pub(crate) async fn status(call: Call, _params: StatusParams) -> Result<DaemonStatus, WireError> {
    let daemon = &call.daemon;
    Ok(DaemonStatus {
        pid: std::process::id(),
        version: daemon.version.clone(),
        protocol: PROTOCOL_VERSION,
        uptime_ms: u64::try_from(daemon.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        socket: daemon.home.socket().to_string_lossy().into_owned(),
        rss_bytes: resident_bytes(),
        home: daemon.home.root().to_string_lossy().into_owned(),
        clients: daemon.clients.load(Ordering::Relaxed),
        sessions_running: u32::try_from(daemon.sessions.running()).unwrap_or(u32::MAX),
        worktrees: daemon.worktrees.count().await?,
        head_seq: daemon.store.head(),
    })
}

/// Resident memory of this process in bytes; 0 where the platform does not tell.
fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok())
        .unwrap_or(0);
    pages * rustix::param::page_size() as u64
}

pub(crate) async fn doctor(call: Call, _params: DoctorParams) -> Result<DoctorReport, WireError> {
    Ok(DoctorReport { parts: doctor::examine(&call).await })
}

pub(crate) async fn stop(call: Call, params: StopParams) -> Result<Stopping, WireError> {
    let cause = match params.reason {
        StopReason::Deliberate => StopCause::DaemonStopped,
        StopReason::Replace => StopCause::DaemonReplaced,
    };
    tracing::info!(client = call.peer.client, pid = call.peer.pid, ?cause, "asked to stop");
    let sessions_interrupted = call.daemon.sessions.interrupt_all(cause).await;
    call.daemon.end(params.reason);
    Ok(Stopping { pid: std::process::id(), sessions_interrupted })
}
