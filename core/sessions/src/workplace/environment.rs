//! The variables of an agent's programs.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use podium_process::sandbox::{Mechanism, SYSTEM};

use super::{Opening, Workplace, policy};

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

pub(super) fn of(workplace: &Workplace) -> Vec<(OsString, OsString)> {
    let opening = &workplace.opening;
    let mut all: Vec<(OsString, OsString)> = Vec::new();
    let mut set = |key: &str, value: &OsStr| all.push((key.into(), value.to_owned()));
    set("PATH", &path(opening));
    for key in TAKEN {
        if let Some(value) = opening.env.get(*key) {
            set(key, OsStr::new(value));
        }
    }
    for (key, value) in [
        ("TERM", "dumb"),
        ("PAGER", "cat"),
        ("GIT_PAGER", "cat"),
        ("GIT_TERMINAL_PROMPT", "0"),
        // Nobody sees an editor that is opened here.
        ("GIT_EDITOR", "false"),
        ("GIT_NO_LAZY_FETCH", "1"),
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "core.excludesFile"),
        ("PODIUM_AGENT_ID", &opening.agent),
    ] {
        set(key, OsStr::new(value));
    }
    set("GIT_CONFIG_VALUE_0", policy::seen(workplace, &policy::exclude_file(opening)).as_os_str());
    set("HOME", policy::seen(workplace, &policy::home(opening)).as_os_str());
    set("TMPDIR", policy::seen(workplace, &policy::temporary(opening)).as_os_str());
    if let Some(users) = opening.env.get("HOME").map(Path::new) {
        for (key, name) in TOOLCHAINS {
            let folder = users.join(name);
            if opening.confine.read.contains(&folder) && folder.is_dir() {
                set(key, folder.as_os_str());
            }
        }
    }
    if workplace.has_socket()
        && let Some(socket) = &opening.confine.socket
    {
        set("PODIUM_SOCKET", socket.as_os_str());
    }
    if workplace.mechanism != Mechanism::Bubblewrap {
        set("GIT_DIR", workplace.private.git_dir().as_os_str());
        set("GIT_WORK_TREE", opening.at.path.as_os_str());
    }
    all
}

/// The caller's folders of programs, as far as they are shown. Where a hidden one still can be named, a shell that finds a
/// program there stops looking, and fails.
fn path(opening: &Opening) -> OsString {
    let shown = |folder: &PathBuf| {
        let real = folder.canonicalize().unwrap_or_else(|_| folder.clone());
        let system = SYSTEM.iter().any(|system| real.starts_with(system));
        let read = opening.confine.read.iter().any(|read| folder.starts_with(read) || real.starts_with(read));
        system || read || real.starts_with(&opening.at.path)
    };
    let given = opening.env.get("PATH").map_or(USUAL_PATH, String::as_str);
    let folders = std::env::split_paths(given).filter(|folder| folder.is_absolute()).filter(shown);
    std::env::join_paths(folders).ok().filter(|path| !path.is_empty()).unwrap_or_else(|| USUAL_PATH.into())
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
