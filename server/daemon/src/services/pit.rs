//! `pool/list`. What is of melodies and their runs is answered by [`crate::pit`] itself.

use podium_protocol::{PoolEntry, PoolList, PoolListParams, WireError};

use crate::call::Call;

/// Local models, and the providers whose sessions run elsewhere.
pub(crate) async fn pool(call: Call, _params: PoolListParams) -> Result<PoolList, WireError> {
    let models = &call.daemon.models;
    let mut entries = Vec::new();
    for status in models.cache().list() {
        let name = status.entry.name;
        let (state, reason) = match models.is_loaded(name).await {
            true => ("ready", "in memory; goes when nobody has used it for a while"),
            false if models.present().iter().any(|present| present == name) => {
                ("unloaded", "loaded with its next use")
            }
            false => ("unloaded", "not here; `podium models fetch` brings it"),
        };
        entries.push(PoolEntry {
            name: name.to_owned(),
            kind: "model".to_owned(),
            state: state.to_owned(),
            reason: reason.to_owned(),
            active: 0,
            bytes: Some(status.entry.source.member.bytes),
        });
    }
    let running = call.daemon.sessions.list(Default::default()).await?;
    let active = |provider: &str| {
        let running =
            running.iter().filter(|s| s.provider == provider && call.daemon.sessions.is_running(&s.id));
        u32::try_from(running.count()).unwrap_or(u32::MAX)
    };
    for entry in &mut entries {
        let used = |s: &&podium_protocol::SessionInfo| {
            s.provider == "local" && s.model.as_deref().is_none_or(|model| model == entry.name)
        };
        let used = running.iter().filter(used).filter(|s| call.daemon.sessions.is_running(&s.id)).count();
        if used > 0 && entry.state == "ready" {
            (entry.state, entry.active) = ("active".to_owned(), u32::try_from(used).unwrap_or(u32::MAX));
        }
    }
    for provider in call.daemon.sessions.providers(&call.env).await.into_iter().filter(|p| p.name != "local")
    {
        let active = active(&provider.name);
        let state = match (provider.usable, active) {
            (false, _) => "failed",
            (true, 0) => "ready",
            (true, _) => "active",
        };
        entries.push(PoolEntry {
            name: provider.name,
            kind: "provider".to_owned(),
            state: state.to_owned(),
            reason: provider.why,
            active,
            bytes: None,
        });
    }
    Ok(PoolList { entries })
}
