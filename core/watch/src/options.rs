use std::time::Duration;

/// How long changes are collected before they are told, unless asked otherwise.
pub(crate) const DEFAULT_DEBOUNCE: Duration = Duration::from_millis(50);

/// What a watch of a tree leaves out, and how patient it is.
#[derive(Debug, Clone)]
pub struct TreeOptions {
    /// Leave out what `.gitignore`, `.git/info/exclude` and git's global excludes leave out.
    pub respect_gitignore: bool,
    /// Leave out everything named `.git`, at any depth.
    pub skip_git: bool,
    /// More patterns to leave out, in gitignore syntax, relative to the root.
    pub ignored: Vec<String>,
    /// How long the tree must be quiet before changes are told. A tree that never rests is told of after four times
    /// this.
    pub debounce: Duration,
}

impl Default for TreeOptions {
    fn default() -> Self {
        Self { respect_gitignore: true, skip_git: true, ignored: Vec::new(), debounce: DEFAULT_DEBOUNCE }
    }
}

/// How changes are noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// The operating system tells them.
    Native,
    /// They are looked for every second or slower. `reason` is a sentence for a person.
    Polling { reason: String },
}
