//! Real git in a temporary folder, with an environment of its own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::time::Duration;

use podium_git::{Backend, Git, GitEnv, Oid, Repo, RepoWriter};

pub(crate) const WAIT: Duration = Duration::from_secs(60);

pub(crate) struct Lab {
    _folder: tempfile::TempDir,
    pub(crate) root: PathBuf,
    pub(crate) git: Git,
}

impl Lab {
    pub(crate) fn new() -> Self {
        keep_libgit2_hermetic();
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("home")).unwrap();
        let git = Git::find(env(&root, &[])).unwrap();
        Self { _folder: folder, root, git }
    }

    /// Runs plain git, outside the crate under test.
    pub(crate) fn git<S: AsRef<OsStr>>(&self, folder: &Path, args: &[S]) -> String {
        let (ok, text) = self.try_git(folder, args);
        assert!(ok, "git {:?} in {folder:?}: {text}", args.iter().map(AsRef::as_ref).collect::<Vec<_>>());
        text
    }

    pub(crate) fn try_git<S: AsRef<OsStr>>(&self, folder: &Path, args: &[S]) -> (bool, String) {
        let output = Command::new("git")
            .env_clear()
            .env("PATH", path_var())
            .env("HOME", self.root.join("home"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_EDITOR", "true")
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"])
            .args(["-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always"])
            .args(args)
            .current_dir(folder)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let text =
            if output.status.success() { text } else { text + &String::from_utf8_lossy(&output.stderr) };
        (output.status.success(), text.trim_end().to_owned())
    }

    /// A repository with `a.txt`, `b.txt` and `dir/c.txt` committed on `main`.
    pub(crate) fn repository(&self, name: &str, init: &[&str]) -> PathBuf {
        let path = self.root.join(name);
        std::fs::create_dir_all(&path).unwrap();
        self.git(&path, &[&["init", "-q"], init].concat());
        std::fs::create_dir(path.join("dir")).unwrap();
        for (file, content) in [("a.txt", "one\ntwo\nthree\nfour\n"), ("b.txt", "b\n"), ("dir/c.txt", "c\n")]
        {
            std::fs::write(path.join(file), content).unwrap();
        }
        self.commit_all(&path, "first commit");
        path
    }

    pub(crate) fn commit_all(&self, folder: &Path, message: &str) -> Oid {
        self.git(folder, &["add", "-A"]);
        self.git(folder, &["commit", "-q", "-m", message]);
        self.git(folder, &["rev-parse", "HEAD"]).parse().unwrap()
    }

    pub(crate) fn open(&self, path: &Path) -> Repo {
        Repo::discover(&self.git, path).unwrap()
    }
}

pub(crate) fn env(root: &Path, more: &[(&str, &str)]) -> GitEnv {
    let mut vars = vec![
        ("PATH".to_owned(), path_var()),
        ("HOME".to_owned(), root.join("home").display().to_string()),
        ("GIT_CONFIG_NOSYSTEM".to_owned(), "1".to_owned()),
    ];
    vars.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    GitEnv::from_vars(vars)
}

fn path_var() -> String {
    std::env::var("PATH").unwrap()
}

/// The machine's own configuration must not reach the tests through libgit2 either.
fn keep_libgit2_hermetic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        use git2::ConfigLevel as L;
        for level in [L::System, L::Global, L::XDG, L::ProgramData] {
            // SAFETY: every test calls this before its first use of libgit2.
            unsafe { git2::opts::set_search_path(level, "/nonexistent") }.unwrap();
        }
    });
}

/// Every backend that can read this repository.
pub(crate) fn each_backend(repo: &Repo) -> Vec<Repo> {
    let all = [Backend::Libgit2, Backend::CommandLine];
    all.into_iter().filter_map(|backend| repo.clone().with_backend(backend).ok()).collect()
}

pub(crate) fn writer(repo: &Repo) -> RepoWriter {
    repo.write(WAIT).unwrap()
}
