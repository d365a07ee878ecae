//! Files for an agent: inside the worktree, without its git folder, and no secret ones.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Component, Path, PathBuf};

use podium_secrets::is_secret_path;

use super::schema::{INVALID_PARAMS, RpcError};

/// Longest file that is read or written.
const MOST: u64 = 16 << 20;

/// Reads text; `line` counts from 1.
pub(super) fn read(
    root: &Path,
    path: &Path,
    line: Option<u32>,
    limit: Option<u32>,
) -> Result<String, RpcError> {
    let real = resolve(root, path)?;
    let file = File::open(&real).map_err(|error| refused(path, &error.to_string()))?;
    let metadata = file.metadata().map_err(|error| refused(path, &error.to_string()))?;
    if !metadata.is_file() {
        return Err(refused(path, "it is no file"));
    }
    let mut bytes = Vec::new();
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(|error| refused(path, &error.to_string()))?;
    if bytes.len() as u64 > MOST {
        return Err(refused(path, "it is larger than 16 MiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| refused(path, "it is no text"))?;
    if line.is_none() && limit.is_none() {
        return Ok(text);
    }
    let first = line.map_or(0, |line| line.saturating_sub(1) as usize);
    let count = limit.map_or(usize::MAX, |limit| limit as usize);
    Ok(text.split_inclusive('\n').skip(first).take(count).collect())
}

/// Replaces a file whole: a reader sees the old or the new one.
pub(super) fn write(root: &Path, path: &Path, content: &str) -> Result<(), RpcError> {
    if content.len() as u64 > MOST {
        return Err(refused(path, "more than 16 MiB cannot be written"));
    }
    let real = resolve(root, path)?;
    let failed = |error: std::io::Error| refused(path, &error.to_string());
    let folder = real.parent().ok_or_else(|| refused(path, "it is no file"))?;
    fs::create_dir_all(folder).map_err(failed)?;
    // The folders above are looked at again: one may have become a link meanwhile.
    let real = resolve(root, path)?;
    let folder = real.parent().ok_or_else(|| refused(path, "it is no file"))?;
    let before = fs::metadata(&real).ok();
    if before.as_ref().is_some_and(|data| !data.is_file()) {
        return Err(refused(path, "it is no file"));
    }
    let mut partial = tempfile::Builder::new().prefix(".podium-").tempfile_in(folder).map_err(failed)?;
    partial.write_all(content.as_bytes()).map_err(failed)?;
    let permissions = before.map_or_else(new_file, |data| data.permissions());
    partial.as_file().set_permissions(permissions).map_err(failed)?;
    partial.persist(&real).map_err(|error| failed(error.error))?;
    Ok(())
}

fn new_file() -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o644)
}

/// Where a path of the agent really is. What does not exist yet is judged by the folder it would be in.
pub(super) fn resolve(root: &Path, path: &Path) -> Result<PathBuf, RpcError> {
    let root = root.canonicalize().map_err(|error| refused(path, &error.to_string()))?;
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(refused(path, "`..` is not taken"));
    }
    let wanted = if path.is_absolute() { path.to_owned() } else { root.join(path) };
    let (mut there, mut missing) = (wanted.clone(), Vec::new());
    let real = loop {
        match there.canonicalize() {
            Ok(real) => break missing.iter().rev().fold(real, |path: PathBuf, name| path.join(name)),
            // A link to nowhere would be followed by who writes to it.
            Err(_) if there.is_symlink() => return Err(refused(path, "it is a link that leads nowhere")),
            Err(error) => match (there.file_name().map(ToOwned::to_owned), there.parent()) {
                (Some(name), Some(parent)) => {
                    missing.push(name);
                    there = parent.to_owned();
                }
                _ => return Err(refused(path, &error.to_string())),
            },
        }
    };
    let Ok(inside) = real.strip_prefix(&root) else {
        return Err(refused(path, "it is outside of the worktree"));
    };
    if inside.components().any(|part| part.as_os_str().eq_ignore_ascii_case(".git")) {
        return Err(refused(path, "git's own files are not for agents"));
    }
    if is_secret_path(&real) || is_secret_path(&wanted) {
        return Err(refused(path, "it is a secret file"));
    }
    Ok(real)
}

fn refused(path: &Path, why: &str) -> RpcError {
    RpcError { code: INVALID_PARAMS, message: format!("{}: {why}", path.display()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why<T: std::fmt::Debug>(result: Result<T, RpcError>) -> String {
        let message = result.unwrap_err().message;
        message.split_once(": ").unwrap().1.to_owned()
    }

    #[test]
    fn files_are_read_and_written_inside_only() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("tree");
        fs::create_dir_all(root.join(".git")).unwrap();
        fs::write(folder.path().join("outside"), "secret").unwrap();
        std::os::unix::fs::symlink("../outside", root.join("link")).unwrap();
        std::os::unix::fs::symlink("..", root.join("up")).unwrap();
        std::os::unix::fs::symlink("/nowhere/at/all", root.join("dangling")).unwrap();
        write(&root, &root.join("new/deep/a.txt"), "one\ntwo\nthree\n").unwrap();
        assert_eq!(read(&root, Path::new("new/deep/a.txt"), None, None).unwrap(), "one\ntwo\nthree\n");
        assert_eq!(read(&root, Path::new("new/deep/a.txt"), Some(2), Some(1)).unwrap(), "two\n");
        let outside = "it is outside of the worktree";
        for (path, expected) in [
            ("link", outside),
            ("up/outside", outside),
            ("up/fresh", outside),
            ("/etc/passwd", outside),
            ("new/../../outside", "`..` is not taken"),
            ("dangling", "it is a link that leads nowhere"),
            (".git/config", "git's own files are not for agents"),
            (".GIT/hooks/x", "git's own files are not for agents"),
            (".env", "it is a secret file"),
        ] {
            assert_eq!(why(write(&root, Path::new(path), "x")), expected, "{path}");
            assert_eq!(why(read(&root, Path::new(path), None, None)), expected, "{path}");
        }
        assert_eq!(fs::read_to_string(folder.path().join("outside")).unwrap(), "secret");
        assert!(!folder.path().join("fresh").exists());
        fs::write(root.join("binary"), b"\xff\xfe").unwrap();
        assert_eq!(why(read(&root, Path::new("binary"), None, None)), "it is no text");
        assert_eq!(why(read(&root, Path::new("new"), None, None)), "it is no file");
    }

    #[test]
    fn a_file_keeps_its_permissions() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("run.sh");
        fs::write(&script, "old").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        write(folder.path(), &script, "new").unwrap();
        assert_eq!(fs::metadata(&script).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::read_to_string(&script).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing half written stays");
    }
}
