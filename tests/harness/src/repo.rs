//! Git repositories to work on.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::TestEnvironment;

/// A repository with a working tree.
pub struct TestRepo<'a> {
    environment: &'a TestEnvironment,
    path: PathBuf,
}

/// What kind of repository it is.
pub struct RepoBuilder<'a> {
    environment: &'a TestEnvironment,
    name: String,
    files: usize,
    origin: bool,
}

impl<'a> RepoBuilder<'a> {
    pub(crate) fn new(environment: &'a TestEnvironment) -> Self {
        Self { environment, name: "app".into(), files: 20, origin: true }
    }

    /// Folder, below the environment's root.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// Number of small files, in folders of 100.
    #[must_use]
    pub fn files(mut self, files: usize) -> Self {
        self.files = files;
        self
    }

    /// No remote at all.
    #[must_use]
    pub fn without_origin(mut self) -> Self {
        self.origin = false;
        self
    }

    /// # Panics
    /// When git fails.
    #[must_use]
    pub fn build(self) -> TestRepo<'a> {
        let Self { environment, name, files, origin } = self;
        let repo = TestRepo { environment, path: environment.root().join(&name) };
        make_folder(&repo.path);
        repo.git(["init", "-q", "-b", "main"]);
        for number in 0..files {
            let text = (0..30).fold(String::new(), |mut text, line| {
                let _ = writeln!(text, "line {line} of file {number}");
                text
            });
            repo.write(&format!("d{}/f{number}.txt", number / 100), &text);
        }
        repo.commit("first");
        if origin {
            let bare = environment.root().join(format!("{name}.git"));
            environment.git(
                environment.root(),
                [OsStr::new("init"), "-q".as_ref(), "--bare".as_ref(), bare.as_os_str()],
            );
            repo.git([OsStr::new("remote"), "add".as_ref(), "origin".as_ref(), bare.as_os_str()]);
            repo.git(["push", "-q", "-u", "origin", "main"]);
        }
        repo
    }
}

impl TestRepo<'_> {
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// # Panics
    /// When git fails.
    pub fn git<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> String {
        self.environment.git(&self.path, args)
    }

    /// Writes a file, making its folder; gives its path.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path.join(name);
        make_folder(path.parent().unwrap_or(&self.path));
        fs::write(&path, text).unwrap_or_else(|e| panic!("{} cannot be written: {e}", path.display()));
        path
    }

    /// Commits everything there is.
    ///
    /// # Panics
    /// When git fails.
    pub fn commit(&self, message: &str) {
        self.git(["add", "-A"]);
        self.git(["commit", "-q", "--allow-empty", "-m", message]);
    }
}

impl AsRef<Path> for TestRepo<'_> {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

fn make_folder(folder: &Path) {
    fs::create_dir_all(folder).unwrap_or_else(|e| panic!("{} cannot be made: {e}", folder.display()));
}
