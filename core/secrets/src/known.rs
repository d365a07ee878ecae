use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::Path,
};

use zeroize::Zeroizing;

use crate::{is_secret_path, parse_dotenv, patterns};

/// Shorter values are never redacted: they occur in ordinary text.
const SHORTEST: usize = 6;
/// Shortest line of a value of several lines that is redacted by itself.
const SHORTEST_LINE: usize = 20;
/// Longest value that is matched as a whole, in bytes; a stream holds back at most this much for it.
const LONGEST: usize = 16 * 1024;
/// Most values that are matched.
const MOST: usize = 10_000;
const MAX_FILE: u64 = 1024 * 1024;

/// Values that must not be shown, by the name that replaces them. Not all of an environment is secret: values that are
/// short, or plainly a word, number, path or address, stay readable.
#[derive(Clone, Default)]
pub struct KnownSecrets {
    names: BTreeMap<String, String>,
}

impl KnownSecrets {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value that is a secret, unless it is too short to be told from ordinary text.
    pub fn add(&mut self, name: &str, value: &str) {
        let value = value.trim();
        self.insert(name, value, SHORTEST);
        if value.contains('\n') {
            for line in value.lines() {
                self.insert(name, line.trim(), SHORTEST_LINE);
            }
        }
        if let Some(password) = patterns::url_password(value) {
            self.insert(name, password, SHORTEST);
        }
    }

    /// Adds the value of a variable if its name or its look says that it is a secret.
    pub fn add_variable(&mut self, name: &str, value: &str) {
        let value = value.trim();
        if patterns::is_secret_name(name) && !is_boring_word(value) || !is_ordinary(value) {
            self.add(name, value);
        }
    }

    /// Adds what a `.env` file holds.
    pub fn add_dotenv(&mut self, text: &str) {
        for assignment in parse_dotenv(text) {
            let value = Zeroizing::new(assignment.value);
            self.add_variable(&assignment.key, &value);
        }
    }

    /// Adds what the `.env` file at `path` holds. Of a file over 1 MiB only the first MiB is read.
    ///
    /// # Errors
    /// If the file can not be read.
    pub fn add_dotenv_file(&mut self, path: &Path) -> io::Result<()> {
        let mut bytes = Zeroizing::new(Vec::new());
        File::open(path)?.take(MAX_FILE).read_to_end(&mut bytes)?;
        self.add_dotenv(&String::from_utf8_lossy(&bytes));
        Ok(())
    }

    /// Adds the `.env` files of a worktree, of its top and of folders a little below (where a monorepo keeps them). What
    /// can not be read is left out; how much is looked at is bounded.
    pub fn add_worktree(&mut self, root: &Path) {
        const DEEPEST: usize = 3;
        let mut budget = 20_000;
        let mut folders = vec![(root.to_owned(), 0)];
        while let Some((folder, depth)) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            for entry in entries.flatten() {
                budget -= 1;
                if budget == 0 {
                    return;
                }
                let (path, name) = (entry.path(), entry.file_name());
                let name = name.to_string_lossy();
                let skipped = matches!(&*name, ".git" | "node_modules" | "target" | ".venv" | "vendor");
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() && depth < DEEPEST && !skipped => {
                        folders.push((path, depth + 1))
                    }
                    // Symlinks count: a shared `.env` is linked into worktrees. Anything but a file is no `.env`.
                    Ok(kind) if !kind.is_dir() && is_dotenv(&name) && path.is_file() => {
                        let _ = self.add_dotenv_file(&path);
                    }
                    _ => {}
                }
            }
        }
    }

    pub fn len(&self) -> usize {
        self.names.len()
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Sorted by value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.names.iter().map(|(value, name)| (value.as_str(), name.as_str()))
    }

    fn insert(&mut self, name: &str, value: &str, shortest: usize) {
        if value.len() < shortest
            || value.len() > LONGEST
            || self.names.len() >= MOST
            || is_boring_word(value)
        {
            return;
        }
        self.names.entry(value.to_owned()).or_insert_with(|| label(name));
    }
}

fn is_dotenv(name: &str) -> bool {
    name.contains(".env") && is_secret_path(Path::new(name))
}

/// A name as it may stand in `[redacted:NAME]`.
fn label(name: &str) -> String {
    const LONGEST_NAME: usize = 64;
    let clean = name.chars().take(LONGEST_NAME);
    clean.map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') { c } else { '_' }).collect()
}

fn is_boring_word(value: &str) -> bool {
    const BORING: &[&str] = &[
        "true",
        "false",
        "enabled",
        "disabled",
        "default",
        "localhost",
        "127.0.0.1",
        "0.0.0.0",
        "development",
        "production",
        "staging",
        "testing",
        "postgres",
        "password",
        "changeme",
        "secret",
        "example",
        "undefined",
        "your-api-key",
        "your_api_key",
    ];
    BORING.iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// Plainly no secret by itself: words, numbers, dates, versions, paths, addresses without a password.
fn is_ordinary(value: &str) -> bool {
    if patterns::url_password(value).is_some() {
        return false;
    }
    let digits = value.chars().filter(char::is_ascii_digit).count();
    let letters = value.chars().filter(char::is_ascii_alphabetic).count();
    let numeric = letters == 0;
    let looks_random =
        digits >= 3 && letters >= 3 && value.len() >= 16 && !value.contains(char::is_whitespace);
    let is_location = value.contains("://") || value.starts_with(['/', '.', '~']) || value.contains(":/");
    numeric || is_location || !looks_random
}

#[cfg(test)]
mod tests {
    use super::KnownSecrets;

    fn values(text: &str) -> Vec<(String, String)> {
        let mut known = KnownSecrets::new();
        known.add_dotenv(text);
        known.iter().map(|(value, name)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn only_what_is_secret_is_taken_from_an_env_file() {
        let text = "DEBUG=true\nPORT=8080\nHOST=localhost\nNODE_ENV=development\nAPI_KEY=short\nURL=https://example.com/abc123def456\n\
             DB_PASSWORD=hunter2hunter2\nOTHER=a8f3k2l1m9n4p7q6\nDATABASE_URL=postgres://me:p4ssw0rd@db/x\nTOKEN=true\nDAY=2026-11-21\n";
        let mut names: Vec<_> = values(text).into_iter().map(|(name, _)| name).collect();
        names.sort();
        assert_eq!(names, ["DATABASE_URL", "DATABASE_URL", "DB_PASSWORD", "OTHER"]);
    }

    #[test]
    fn a_value_of_several_lines_is_known_whole_and_by_line() {
        let found = values("PRIVATE_KEY=\"head\nline-with-enough-length-1\nline-with-enough-length-2\"");
        assert_eq!(found.len(), 3);
    }
}
