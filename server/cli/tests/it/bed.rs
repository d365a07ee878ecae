//! A private home for the binaries, which neither reads nor writes anything of the person's.

#![expect(clippy::unwrap_used, reason = "a bed that cannot be made fails the test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

pub(crate) struct Bed {
    dir: tempfile::TempDir,
}

impl Bed {
    pub(crate) fn new() -> Self {
        let bed = Self { dir: tempfile::Builder::new().prefix("pod ü").tempdir().unwrap() };
        for folder in ["home", "work"] {
            std::fs::create_dir(bed.path(folder)).unwrap();
        }
        bed
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn command(&self, line: &[&str]) -> Command {
        let program = match line[0] {
            "podium" => env!("CARGO_BIN_EXE_podium"),
            "imi" => env!("CARGO_BIN_EXE_imi"),
            "jelmore" => env!("CARGO_BIN_EXE_jelmore"),
            "bb" => env!("CARGO_BIN_EXE_bb"),
            other => panic!("no binary {other}"),
        };
        let mut command = Command::new(program);
        command.args(&line[1..]).env_clear().current_dir(self.path("work"));
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
            .env("HOME", self.path("home"))
            .env("PODIUM_HOME", self.path("p"))
            .env("PODIUM_MODELS", self.path("m"));
        command
    }

    pub(crate) fn run(&self, line: &[&str]) -> Output {
        self.command(line).output().unwrap()
    }

    /// Exit code and the one JSON object on standard output.
    pub(crate) fn json(&self, line: &[&str]) -> (i32, Value) {
        let output = self.run(line);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.lines().count(), 1, "{line:?}: {text}");
        (output.status.code().unwrap(), serde_json::from_str(&text).unwrap())
    }
}
