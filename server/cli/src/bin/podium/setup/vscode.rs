//! Visual Studio Code and its kin: the packaged extension, installed by the editor itself.

use std::path::{Path, PathBuf};

use podium_cli::output::Failure;
use podium_protocol::WireError;

use super::{Plan, Step};

/// Editors that take `--install-extension`, the most usual first.
const PROGRAMS: [&str; 5] = ["code", "codium", "code-insiders", "cursor", "code-server"];
/// The source this program was built from, where it is still there.
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../editors/vscode");

pub(super) fn plan() -> Result<Plan, Failure> {
    let Some(package) = find_package(&package_folders()) else {
        return Err(WireError::not_found("the packaged extension (podium-*.vsix) is not here")
            .hint("in Podium's source: cd editors/vscode && npm ci && npm run package")
            .hint("then in the same folder: code --install-extension podium-*.vsix")
            .into());
    };
    let then = vec!["open a repository in the editor and look at its status bar".to_owned()];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let Some(program) = find_program(&std::env::split_paths(&path).collect::<Vec<_>>()) else {
        let names = PROGRAMS.join(", ");
        return Err(WireError::not_found(format!("none of {names} is on the PATH"))
            .hint(format!("in the editor: Extensions, Install from VSIX, {}", package.display()))
            .into());
    };
    let arguments =
        vec!["--install-extension".to_owned(), package.display().to_string(), "--force".to_owned()];
    Ok(Plan { steps: vec![Step::Run { program, arguments }], then })
}

/// Beside the program, where installers put data, and in the source.
fn package_folders() -> Vec<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
    let mut folders: Vec<PathBuf> =
        beside.iter().flat_map(|bin| [bin.clone(), bin.join("../share/podium")]).collect();
    folders.push(PathBuf::from(SOURCE));
    folders
}

/// The newest package of the first folder that has one.
fn find_package(folders: &[PathBuf]) -> Option<PathBuf> {
    folders.iter().find_map(|folder| {
        let entries = folder.read_dir().ok()?.filter_map(Result::ok);
        let packages = entries.filter(|e| {
            let name = e.file_name().to_string_lossy().into_owned();
            name.starts_with("podium") && name.ends_with(".vsix")
        });
        let dated = packages.filter_map(|e| Some((e.metadata().ok()?.modified().ok()?, e.path())));
        dated.max().and_then(|(_, path)| path.canonicalize().ok())
    })
}

fn find_program(path: &[PathBuf]) -> Option<PathBuf> {
    let program = |name: &&str| path.iter().map(|dir| dir.join(name)).find(|p| p.is_file());
    PROGRAMS.iter().find_map(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_and_the_editor_are_found_where_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let (empty, full) = (dir.path().join("empty"), dir.path().join("full"));
        std::fs::create_dir_all(&empty).unwrap();
        std::fs::create_dir_all(&full).unwrap();
        let folders = [dir.path().join("missing"), empty, full.clone()];
        assert_eq!((find_package(&folders), find_program(&folders)), (None, None));
        for file in ["podium-0.1.0.vsix", "other.vsix", "codium"] {
            std::fs::write(full.join(file), "x").unwrap();
        }
        assert_eq!(find_package(&folders), Some(full.join("podium-0.1.0.vsix").canonicalize().unwrap()));
        assert_eq!(find_program(&folders), Some(full.join("codium")));
    }
}
