//! The variables of an agent's programs.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use podium_process::sandbox::{Mechanism, SYSTEM};

use super::{Confine, Opening, Workplace, policy};
use crate::Env;

/// Taken from the caller.
const TAKEN: &[&str] = &["LANG", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "TZ", "USER", "LOGNAME", "SHELL"];
/// Folders of toolchains, below the user's home, that are found by a variable where the home is another one.
const TOOLCHAINS: &[(&str, &str)] = &[
    ("RUSTUP_HOME", ".rustup"),
    ("CARGO_HOME", ".cargo"),
    ("PYENV_ROOT", ".pyenv"),
    ("NVM_DIR", ".nvm"),
    ("VOLTA_HOME", ".volta"),
    ("ASDF_DATA_DIR", ".asdf"),
    ("SDKMAN_DIR", ".sdkman"),
];
const USUAL_PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// Bytes of the user's own list of files that git passes over.
const LONGEST_EXCLUDES: u64 = 1024 * 1024;

/// Where a program sees what is its own.
pub(super) struct Seen<'a> {
    pub(super) home: &'a Path,
    pub(super) temporary: &'a Path,
    pub(super) tree: Option<&'a Path>,
    /// Whether it can reach the session's socket.
    pub(super) socket: bool,
}

pub(super) fn of(workplace: &Workplace) -> Vec<(OsString, OsString)> {
    let opening = &workplace.opening;
    let (home, temporary) = (policy::home(opening), policy::temporary(opening));
    let seen = Seen {
        home: &policy::seen(workplace, &home),
        temporary: &policy::seen(workplace, &temporary),
        tree: Some(&opening.at.path),
        socket: workplace.has_socket(),
    };
    let mut all = plain(&opening.confine, &opening.env, &opening.agent, &seen);
    let mut set = |key: &str, value: &OsStr| all.push((key.into(), value.to_owned()));
    for (key, value) in [
        ("GIT_PAGER", "cat"),
        ("GIT_TERMINAL_PROMPT", "0"),
        // Nobody sees an editor that is opened here.
        ("GIT_EDITOR", "false"),
        ("GIT_NO_LAZY_FETCH", "1"),
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "core.excludesFile"),
    ] {
        set(key, OsStr::new(value));
    }
    set("GIT_CONFIG_VALUE_0", policy::seen(workplace, &policy::exclude_file(opening)).as_os_str());
    if workplace.mechanism != Mechanism::Bubblewrap {
        set("GIT_DIR", workplace.private.git_dir().as_os_str());
        set("GIT_WORK_TREE", opening.at.path.as_os_str());
    }
    all
}

/// Those that have nothing to do with a worktree.
pub(super) fn plain(confine: &Confine, env: &Env, agent: &str, seen: &Seen<'_>) -> Vec<(OsString, OsString)> {
    let mut all: Vec<(OsString, OsString)> = Vec::new();
    let mut set = |key: &str, value: &OsStr| all.push((key.into(), value.to_owned()));
    set("PATH", &path(confine, env, seen.tree));
    for key in TAKEN {
        if let Some(value) = env.get(*key) {
            set(key, OsStr::new(value));
        }
    }
    for (key, value) in [("TERM", "dumb"), ("PAGER", "cat"), ("PODIUM_AGENT_ID", agent)] {
        set(key, OsStr::new(value));
    }
    set("HOME", seen.home.as_os_str());
    set("TMPDIR", seen.temporary.as_os_str());
    if let Some(users) = env.get("HOME").map(Path::new) {
        for (key, name) in TOOLCHAINS {
            let folder = users.join(name);
            if confine.read.contains(&folder) && folder.is_dir() {
                set(key, folder.as_os_str());
            }
        }
    }
    if seen.socket
        && let Some(socket) = &confine.socket
    {
        set("PODIUM_SOCKET", socket.as_os_str());
    }
    all
}

/// The caller's folders of programs, as far as they are shown. Where a hidden one still can be named, a shell that finds a
/// program there stops looking, and fails.
fn path(confine: &Confine, env: &Env, tree: Option<&Path>) -> OsString {
    let shown = |folder: &PathBuf| {
        let real = folder.canonicalize().unwrap_or_else(|_| folder.clone());
        let system = SYSTEM.iter().any(|system| real.starts_with(system));
        let mut read = confine.read.iter().chain(&confine.write);
        let read = read.any(|read| folder.starts_with(read) || real.starts_with(read));
        system || read || tree.is_some_and(|tree| real.starts_with(tree))
    };
    let given = env.get("PATH").map_or(USUAL_PATH, String::as_str);
    let folders = std::env::split_paths(given).filter(|folder| folder.is_absolute()).filter(shown);
    // Podium's own programs are shown one by one, wherever they lie.
    let folders = folders.chain(confine.programs.iter().filter_map(|file| Some(file.parent()?.to_owned())));
    let mut all: Vec<PathBuf> = Vec::new();
    folders.for_each(|folder| {
        if !all.contains(&folder) {
            all.push(folder);
        }
    });
    std::env::join_paths(all).ok().filter(|path| !path.is_empty()).unwrap_or_else(|| USUAL_PATH.into())
}

/// An address for an agent's commits that is nobody's.
pub(super) fn address(agent: &str) -> String {
    let name: String = agent.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("{}@podium.invalid", name.trim_matches('-'))
}

/// What the user has git pass over in every repository; the file itself is not seen inside.
pub(super) fn users_excludes(opening: &Opening) -> Vec<u8> {
    let home = opening.env.get("HOME").map(PathBuf::from);
    let configured = opening.repo.config("core.excludesFile").ok().flatten();
    let file = match (configured, &home) {
        (Some(path), Some(home)) if path.starts_with("~/") => home.join(&path[2..]),
        (Some(path), _) => PathBuf::from(path),
        (None, Some(home)) => home.join(".config/git/ignore"),
        (None, None) => return Vec::new(),
    };
    let fits = fs::metadata(&file).is_ok_and(|data| data.is_file() && data.len() <= LONGEST_EXCLUDES);
    if fits { fs::read(&file).unwrap_or_default() } else { Vec::new() }
}
