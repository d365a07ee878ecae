//! What each part says of itself.

use podium_process::sandbox::{self, Mechanism};
use podium_protocol::{Part, PartState};

use crate::call::Call;

/// Free space under which a disk is told as short, in bytes.
const SHORT_OF_DISK: u64 = 500 * 1024 * 1024;

pub(crate) async fn examine(call: &Call) -> Vec<Part> {
    let daemon = &call.daemon;
    let mut parts = vec![part("daemon", PartState::Ok, format!("pid {}", std::process::id()), "")];
    parts.push(store(call).await);
    parts.push(disk(call));
    parts.push(configuration(call));
    for (name, state, message, hint) in daemon.worktrees.health().await {
        parts.push(part(&name, state, message, &hint));
    }
    parts.push(artifacts(call).await);
    parts.push(crate::pit::health(daemon).await);
    for provider in daemon.sessions.providers(&call.env).await {
        let state = if provider.usable { PartState::Ok } else { PartState::Off };
        let hint = if provider.usable { String::new() } else { provider.why.clone() };
        parts.push(part(&format!("provider {}", provider.name), state, provider.why, &hint));
    }
    parts.push(sandboxes(call).await);
    parts.extend(workplaces(call).await);
    parts
}

fn part(name: &str, state: PartState, message: impl Into<String>, hint: &str) -> Part {
    Part { name: name.to_owned(), state, message: message.into(), hint: hint.to_owned() }
}

async fn store(call: &Call) -> Part {
    let store = &call.daemon.store;
    let events = store.events(store.head().saturating_sub(1), Vec::new(), 1).await;
    match events {
        Ok(_) => {
            let bytes = std::fs::metadata(store.path()).map_or(0, |m| m.len());
            part("store", PartState::Ok, format!("{} KiB, event {}", bytes / 1024, store.head()), "")
        }
        Err(error) => part("store", PartState::Broken, error.to_string(), &error.hints().join("; ")),
    }
}

fn disk(call: &Call) -> Part {
    let root = call.daemon.home.root();
    match rustix::fs::statvfs(root) {
        Ok(stat) => {
            let free = stat.f_bavail * stat.f_frsize;
            let message = format!("{} MiB free for {}", free / 1024 / 1024, root.display());
            if free < SHORT_OF_DISK {
                part(
                    "disk",
                    PartState::Degraded,
                    message,
                    "free some space; nothing is lost, but writes will fail",
                )
            } else {
                part("disk", PartState::Ok, message, "")
            }
        }
        Err(error) => {
            part("disk", PartState::Degraded, error.to_string(), "check that the home's disk is mounted")
        }
    }
}

/// A file that cannot be taken over leaves the old settings in force; here it is told.
fn configuration(call: &Call) -> Part {
    match call.daemon.config.check() {
        Ok(()) => part("configuration", PartState::Ok, "valid", ""),
        Err(error) => part(
            "configuration",
            PartState::Degraded,
            error.to_string(),
            "mend the file; until then the settings of before are in force",
        ),
    }
}

async fn artifacts(call: &Call) -> Part {
    match call.daemon.artifacts.health().await {
        Ok((count, None)) => part("artifacts", PartState::Ok, format!("{count} stored"), ""),
        Ok((_, Some(fault))) => part(
            "artifacts",
            PartState::Degraded,
            format!("search does not work: {fault}"),
            "delete the folder `artifacts/index` of PODIUM_HOME; it is built anew",
        ),
        Err(error) => part("artifacts", PartState::Broken, error.to_string(), "see the part `store`"),
    }
}

/// Which mechanism confines agents, what that cannot do, and how the others are.
async fn sandboxes(call: &Call) -> Part {
    let report = tokio::task::spawn_blocking(sandbox::probe).await;
    let Ok(report) = report else {
        return part("sandbox", PartState::Broken, "the probe ended unexpectedly", "");
    };
    let wanted = call.daemon.config.get().text("sandbox.mechanism").to_owned();
    let real = || report.mechanisms.iter().filter(|m| m.mechanism != Mechanism::None);
    let used = real().find(|m| m.available() && (wanted == "auto" || wanted == m.mechanism.name()));
    let mut words = Vec::new();
    if let Some(used) = used {
        words.push(format!("{} is used; it cannot {}", used.mechanism, used.cannot.join("; it cannot ")));
    }
    for other in real().filter(|m| used.is_none_or(|used| used.mechanism != m.mechanism)) {
        match &other.unavailable {
            None => {
                let cannot = other.cannot.join("; it cannot ");
                words.push(format!("{} works as well; it cannot {cannot}", other.mechanism));
            }
            Some(why) => words.push(format!("{}: {why}", other.mechanism)),
        }
    }
    let (state, hint) = match used {
        Some(_) => (PartState::Ok, ""),
        None if wanted == "auto" => (
            PartState::Degraded,
            "install bubblewrap, or use a kernel with Landlock; until then an agent works only \
                                   by an approval of its own that is recorded",
        ),
        None if wanted == "none" => (
            PartState::Degraded,
            "`sandbox.mechanism` is none: an agent works only by an approval of its own that is recorded",
        ),
        None => {
            (PartState::Degraded, "`sandbox.mechanism` asks for one that does not work here: set it to auto")
        }
    };
    part("sandbox", state, words.join(". "), hint)
}

/// Commits that did not come over when their session ended. They are kept.
async fn workplaces(call: &Call) -> Option<Part> {
    use podium_protocol::SessionStatus::{Cancelled, Completed, Failed};
    let daemon = &call.daemon;
    let mut left = Vec::new();
    for session in daemon.workplaces.sessions() {
        let info = daemon.sessions.info(&session).await;
        let over = info.is_ok_and(|info| matches!(info.status, Completed | Failed | Cancelled));
        if over && !daemon.sessions.is_running(&session) && daemon.workplaces.has_commits(&session) {
            left.push(session);
        }
    }
    let message = format!("commits of {} did not come over to their branch", left.join(", "));
    let hint =
        "claim the worktree and `jelmore sessions resume` the session: what it committed comes over then";
    (!left.is_empty()).then(|| part("workplaces", PartState::Degraded, message, hint))
}
