//! Files for agents that have tools of their own and leave files to us: as our own tools reach them, in full.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::change::{self, Before};
use super::{ToolContext, ToolError, Tree, open};

/// Reads text; `line` counts from 1.
pub(crate) fn read_text(
    ctx: &ToolContext,
    path: &str,
    line: Option<u32>,
    limit: Option<u32>,
) -> Result<String, ToolError> {
    let place = open::place(ctx, path)?;
    let (bytes, _) = open::whole(&place)?;
    let text = open::text(&place, bytes)?;
    if line.is_none() && limit.is_none() {
        return Ok(text);
    }
    let first = line.map_or(0, |line| line.saturating_sub(1) as usize);
    let count = limit.map_or(usize::MAX, |limit| limit as usize);
    Ok(text.split_inclusive('\n').skip(first).take(count).collect())
}

/// Replaces a file whole: a reader sees the old or the new one.
pub(crate) fn write_text(ctx: &ToolContext, path: &str, content: &str) -> Result<(), ToolError> {
    if content.len() as u64 > open::MAX_WHOLE {
        return Err(ToolError::Input("more than 10 MiB cannot be written".to_owned()));
    }
    let place = open::place(ctx, path)?;
    let before = match place.exists() {
        false => None,
        true => {
            let (bytes, metadata) = open::whole(&place)?;
            Some(Before { bytes, mode: metadata.permissions().mode() })
        }
    };
    if before.as_ref().is_some_and(|before| before.bytes == content.as_bytes()) {
        return Ok(());
    }
    change::put(ctx, &place, before.as_ref(), content.as_bytes()).map(drop)
}

/// A folder of the tree, relative to its root and without links.
pub(crate) fn folder(ctx: &ToolContext, path: &str) -> Result<PathBuf, ToolError> {
    let place = Tree::open(&ctx.root, std::sync::Arc::clone(&ctx.paths))?.locate(path)?;
    place.open_folder()?;
    Ok(place.real)
}

/// Whether a path names something of the tree, by its text alone.
pub(crate) fn is_inside(ctx: &ToolContext, path: &Path) -> bool {
    let real = ctx.root.canonicalize().ok();
    path.is_relative() || path.starts_with(&ctx.root) || real.is_some_and(|real| path.starts_with(real))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::*;

    fn why<T: std::fmt::Debug>(result: Result<T, ToolError>) -> String {
        let message = result.unwrap_err().to_string();
        message.split_once("` ").unwrap().1.to_owned()
    }

    #[test]
    fn files_are_read_and_written_inside_only() {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("tree");
        fs::create_dir_all(root.join(".git")).unwrap();
        fs::write(outer.path().join("outside"), "secret").unwrap();
        std::os::unix::fs::symlink("../outside", root.join("link")).unwrap();
        std::os::unix::fs::symlink("..", root.join("up")).unwrap();
        std::os::unix::fs::symlink("/nowhere/at/all", root.join("dangling")).unwrap();
        let ctx = ToolContext::new(root.clone(), "s".into(), Arc::default());
        write_text(&ctx, &root.join("new/deep/a.txt").to_string_lossy(), "one\ntwo\nthree\n").unwrap();
        assert_eq!(read_text(&ctx, "new/deep/a.txt", None, None).unwrap(), "one\ntwo\nthree\n");
        assert_eq!(read_text(&ctx, "new/deep/a.txt", Some(2), Some(1)).unwrap(), "two\n");
        let outside = "is outside of the worktree";
        for (path, expected) in [
            ("link", outside),
            ("up/outside", outside),
            ("up/fresh", outside),
            ("/etc/passwd", outside),
            ("new/../../outside", outside),
            ("dangling", outside),
            (".git/config", "belongs to git"),
            (".GIT/hooks/x", "belongs to git"),
            (".env", "may hold secrets and is kept from agents"),
        ] {
            assert_eq!(why(write_text(&ctx, path, "x")), expected, "{path}");
            assert_eq!(why(read_text(&ctx, path, None, None)), expected, "{path}");
        }
        assert_eq!(fs::read_to_string(outer.path().join("outside")).unwrap(), "secret");
        assert!(!outer.path().join("fresh").exists());
        fs::write(root.join("binary"), b"\xff\xfe").unwrap();
        assert!(why(read_text(&ctx, "binary", None, None)).contains("not UTF-8"));
        assert_eq!(folder(&ctx, "new/deep").unwrap(), Path::new("new/deep"));
        assert_eq!(why(folder(&ctx, "up")), outside);
    }

    #[test]
    fn a_file_keeps_its_permissions() {
        let root = tempfile::tempdir().unwrap();
        let script = root.path().join("run.sh");
        fs::write(&script, "old").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let ctx = ToolContext::new(root.path().to_owned(), "s".into(), Arc::default());
        write_text(&ctx, "run.sh", "new").unwrap();
        assert_eq!(fs::metadata(&script).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::read_to_string(&script).unwrap(), "new");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "nothing half written stays");
    }
}
