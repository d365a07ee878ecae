//! The configuration of a private folder: the format, who commits, and what decides which bytes git stores. Nothing else of
//! the user's is taken along: neither remotes, which may hold passwords, nor aliases.

use std::path::{Path, PathBuf};

use super::PrivateOptions;
use crate::error::Result;
use crate::model::WorktreeLocation;
use crate::oid::ObjectFormat;
use crate::repo::Repo;

const TAKEN: &[&str] = &[
    "user.name",
    "user.email",
    "author.name",
    "author.email",
    "committer.name",
    "committer.email",
    "core.filemode",
    "core.symlinks",
    "core.ignorecase",
    "core.precomposeunicode",
    "core.autocrlf",
    "core.eol",
    "core.safecrlf",
    "core.whitespace",
    "core.commentchar",
    "core.bigfilethreshold",
    "core.sparsecheckout",
    "core.sparsecheckoutcone",
    "index.sparse",
];
/// Programs between the files and the objects. They run inside only; without them large files would be committed whole.
const FILTER_KEYS: &[&str] = &["clean", "smudge", "process", "required"];

pub(super) struct Settings {
    pub(super) text: String,
    /// The folder with the user's hooks, where it does not go with the tree.
    pub(super) hooks: Option<PathBuf>,
}

/// Scope, lower-case key with the subsection as it is, value.
type Value = (String, String, String);

pub(super) fn of(repo: &Repo, at: &WorktreeLocation, options: &PrivateOptions) -> Result<Settings> {
    let values = read(repo, at)?;
    let mut file = File::default();
    let sha256 = repo.object_format() == ObjectFormat::Sha256;
    let promisor = last(&values, "extensions.partialclone").map(str::to_owned);
    let version = if sha256 || promisor.is_some() { "1" } else { "0" };
    file.set("core.repositoryformatversion", version);
    file.set("core.bare", "false");
    file.set("core.logallrefupdates", "true");
    if sha256 {
        file.set("extensions.objectformat", ObjectFormat::Sha256.as_str());
    }
    if let Some(remote) = promisor {
        // Objects that were never fetched may be missing.
        file.set("extensions.partialclone", &remote);
        file.set(&format!("remote.{remote}.promisor"), "true");
    }
    for (_, key, value) in &values {
        let is_filter = key.strip_prefix("filter.").and_then(|rest| rest.rsplit_once('.'));
        let taken = TAKEN.contains(&key.as_str()) || is_filter.is_some_and(|(_, k)| FILTER_KEYS.contains(&k));
        if taken {
            file.set(key, value);
        }
    }
    if let Some((name, mail)) = &options.identity {
        for (key, value) in [("user.name", name), ("user.email", mail)] {
            if last(&values, key).is_none_or(str::is_empty) {
                file.set(key, value);
            }
        }
    }
    let (setting, hooks) = hooks(repo, &values, options);
    file.set("core.hookspath", &setting);
    Ok(Settings { text: file.0, hooks })
}

fn read(repo: &Repo, at: &WorktreeLocation) -> Result<Vec<Value>> {
    let mut command = repo.read_command(at);
    command.args(["config", "--list", "--show-scope", "-z"]);
    let output = String::from_utf8_lossy(&command.output()?).into_owned();
    let mut parts = output.split('\0');
    let mut values = Vec::new();
    while let (Some(scope), Some(entry)) = (parts.next(), parts.next()) {
        // What this very command was told.
        if scope == "command" {
            continue;
        }
        // A key without a value means true.
        let (key, value) = entry.split_once('\n').unwrap_or((entry, "true"));
        values.push((scope.to_owned(), key.to_owned(), value.to_owned()));
    }
    Ok(values)
}

fn last<'a>(values: &'a [Value], key: &str) -> Option<&'a str> {
    values.iter().rev().find(|(_, found, _)| found == key).map(|(_, _, value)| value.as_str())
}

/// What `core.hooksPath` says inside, and the folder that must be shown for it. Hooks are the project's programs: inside
/// they may run.
fn hooks(repo: &Repo, values: &[Value], options: &PrivateOptions) -> (String, Option<PathBuf>) {
    // The guard stands in for the user's hooks, and remembers where they are.
    let guard = repo.common_dir().join("podium");
    let own = values.iter().rev().filter(|(_, key, _)| key == "core.hookspath" || key == "podium.hookspath");
    let own = own.map(|(_, _, value)| expanded(repo, value)).find(|path| !path.starts_with(&guard));
    let real = match own {
        // Below the tree, wherever that is shown.
        Some(path) if path.is_relative() => return (path.to_string_lossy().into_owned(), None),
        Some(path) => path,
        None => repo.common_dir().join("hooks"),
    };
    if !real.is_dir() {
        return ("/dev/null".to_owned(), None);
    }
    let seen = options.shown_below.as_ref().map_or_else(|| real.clone(), |below| below.join("hooks"));
    (seen.to_string_lossy().into_owned(), Some(real))
}

fn expanded(repo: &Repo, path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), repo.git().var("HOME")) {
        (Some(rest), Some(home)) => Path::new(home).join(rest),
        _ => PathBuf::from(path),
    }
}

#[derive(Default)]
struct File(String);

impl File {
    /// `section.key` or `section.sub.section.key`; the last one wins, as ever.
    fn set(&mut self, key: &str, value: &str) {
        let Some((section, rest)) = key.split_once('.') else { return };
        let head = match rest.rsplit_once('.') {
            Some((sub, _)) => format!("[{section} \"{}\"]", sub.replace('\\', "\\\\").replace('"', "\\\"")),
            None => format!("[{section}]"),
        };
        let key = rest.rsplit_once('.').map_or(rest, |(_, key)| key);
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        let value = value.replace('\n', "\\n").replace('\t', "\\t");
        self.0 += &format!("{head}\n\t{key} = \"{value}\"\n");
    }
}
