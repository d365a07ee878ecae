//! Where the programs under test lie: beside the test executables that were built with them, in whatever target
//! folder and profile that was.

use std::path::PathBuf;

/// Folder of the binaries of this build.
///
/// # Panics
/// When they were not built.
#[must_use]
pub fn binaries() -> PathBuf {
    let test = std::env::current_exe().unwrap_or_else(|e| panic!("this test's program cannot be told: {e}"));
    // <target>/<profile>/deps/<test>
    let folder = test.ancestors().nth(2).map(PathBuf::from).unwrap_or_default();
    assert!(
        folder.join("podium").is_file(),
        "no program `podium` in {}: run `cargo build --workspace --bins` first",
        folder.display()
    );
    folder
}

/// One of them.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let path = binaries().join(name);
    assert!(path.is_file(), "no {}: run `cargo build --workspace --bins` first", path.display());
    path
}

/// Whether the machine has a program of this name, for tests of what is optional.
#[must_use]
pub fn on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}
