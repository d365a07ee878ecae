//! What an agent may see, as the rules of a sandbox.
//!
//! Bubblewrap shows the private folder at the place of the real one, so that every path that git knows stays true. Landlock
//! can show nothing elsewhere than it is: there variables name the private folder (`environment.rs`).

use std::path::{Path, PathBuf};

use podium_process::Command;
use podium_process::sandbox::{Bind, Mechanism, SandboxError, SandboxPolicy, wrap};

use super::{CommandOptions, Confine, Opening, Workplace, WorkplaceError};
use crate::Env;

/// Where bubblewrap shows what has no place of its own.
pub(super) const BELOW: &str = "/run/podium";

/// Kept from one command to the next, and gone with the session.
pub(super) fn home(opening: &Opening) -> PathBuf {
    opening.folder.join("home")
}

pub(super) fn temporary(opening: &Opening) -> PathBuf {
    opening.folder.join("tmp")
}

/// What git inside passes over.
pub(super) fn exclude_file(opening: &Opening) -> PathBuf {
    opening.folder.join("exclude")
}

/// Where a file or folder of the workplace is seen inside.
pub(super) fn seen(workplace: &Workplace, real: &Path) -> PathBuf {
    match (workplace.mechanism, real.file_name()) {
        (Mechanism::Bubblewrap, Some(name)) => Path::new(BELOW).join(name),
        _ => real.to_owned(),
    }
}

/// What holds wherever an agent works.
pub(super) fn base(confine: &Confine, env: &Env) -> SandboxPolicy {
    let exists = |path: &&PathBuf| path.exists();
    SandboxPolicy {
        read_write: confine.write.iter().filter(exists).cloned().collect(),
        read_only: confine.read.iter().chain(&confine.programs).filter(exists).cloned().collect(),
        hidden: confine.hidden.clone(),
        network: confine.network,
        limits: confine.limits.clone(),
        home: env.get("HOME").map(PathBuf::from),
        ..SandboxPolicy::default()
    }
}

pub(super) fn add_socket(policy: &mut SandboxPolicy, confine: &Confine, mechanism: Mechanism) {
    match (&confine.socket_folder, mechanism) {
        (Some(folder), Mechanism::Bubblewrap) if folder.is_dir() => policy.read_only.push(folder.clone()),
        _ => policy.sockets.extend(confine.socket.clone()),
    }
}

/// Whether the mechanism can enforce that.
pub(super) fn fits(policy: &SandboxPolicy, mechanism: Mechanism) -> Result<(), SandboxError> {
    wrap(Command::new("true"), policy, mechanism).map(drop)
}

pub(super) fn of(
    workplace: &Workplace,
    secrets: &[PathBuf],
    options: &CommandOptions,
) -> Result<SandboxPolicy, WorkplaceError> {
    let Workplace { opening, mechanism, .. } = workplace;
    let confine = &opening.confine;
    let tree = &opening.at.path;
    let mut policy = base(confine, &opening.env);
    policy.read_write.push(tree.clone());
    policy.network = options.network.unwrap_or(confine.network);
    if workplace.socket {
        add_socket(&mut policy, confine, *mechanism);
    }
    policy.hidden.extend(secrets.iter().map(|path| tree.join(path)));
    for other in opening.repo.worktrees()? {
        let path = other.location.path;
        if path != *tree && path.starts_with(tree) {
            policy.hidden.push(path);
        }
    }
    let dot_git = tree.join(".git");
    if dot_git.symlink_metadata().is_ok_and(|data| data.is_file()) {
        policy.read_only.push(dot_git);
    }
    match mechanism {
        Mechanism::Bubblewrap => in_place(workplace, &mut policy),
        _ => beside(workplace, &mut policy),
    }
    Ok(policy)
}

/// The private folder over the real one.
fn in_place(workplace: &Workplace, policy: &mut SandboxPolicy) {
    let Workplace { opening, private, .. } = workplace;
    let mut bind = |from: PathBuf, to: PathBuf, read_only| policy.binds.push(Bind { from, to, read_only });
    bind(private.common_dir(), opening.repo.common_dir().to_owned(), false);
    for share in private.shares() {
        bind(share.real.clone(), share.seen.clone(), true);
    }
    bind(home(opening), seen(workplace, &home(opening)), false);
    bind(exclude_file(opening), seen(workplace, &exclude_file(opening)), true);
    bind(temporary(opening), seen(workplace, &temporary(opening)), false);
    keep_tmp(opening, policy);
    // Submodules have their git folders there: to be read.
    let modules = opening.at.git_dir.join("modules");
    if modules.is_dir() && is_plain(&private.common_dir(), &private.git_dir().join("modules")) {
        policy.binds.push(Bind { from: modules.clone(), to: modules, read_only: true });
    }
}

/// What one command leaves in `/tmp` the next one finds. Not where something else is shown within it: the agent could have
/// left a link on the way, and the sandbox would show that other thing somewhere else.
fn keep_tmp(opening: &Opening, policy: &mut SandboxPolicy) {
    let tmp = Path::new("/tmp");
    let all = [&policy.read_only, &policy.read_write, &policy.hidden, &policy.sockets];
    let shown = all.into_iter().flatten().chain(policy.binds.iter().map(|bind| &bind.to));
    if !shown.into_iter().any(|path| path.starts_with(tmp)) {
        policy.binds.push(Bind { from: temporary(opening), to: tmp.to_owned(), read_only: false });
    }
}

/// Whether nothing on the way is a link, which would have the sandbox show the folder somewhere else.
fn is_plain(root: &Path, path: &Path) -> bool {
    let ways = path.ancestors().take_while(|way| *way != root);
    ways.into_iter().all(|way| way.symlink_metadata().map_or(true, |data| data.is_dir()))
}

/// Everything where it is.
fn beside(workplace: &Workplace, policy: &mut SandboxPolicy) {
    let Workplace { opening, private, .. } = workplace;
    policy.hidden.push(opening.repo.common_dir().to_owned());
    policy.read_only.extend(private.shares().iter().map(|share| share.real.clone()));
    policy.read_only.push(exclude_file(opening));
    let modules = opening.at.git_dir.join("modules");
    if modules.is_dir() {
        policy.read_only.push(modules);
    }
    policy.read_write.extend([private.common_dir(), home(opening), temporary(opening)]);
}
