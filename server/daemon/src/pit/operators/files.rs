//! `files.read`, `files.write`, `files.glob`: within the folder of the run.

use std::path::Path;

use ignore::WalkBuilder;
use ignore::overrides::OverrideBuilder;
use podium_pit::dag::{FailureKind, NodeCall, NodeError};
use podium_secrets::is_secret_path;
use serde_json::{Value, json};

use super::tree::Tree;
use super::{Arguments, Bench, Outputs};

/// Paths that one `files.glob` gives.
const MOST_PATHS: usize = 10_000;

/// Outputs `content`.
pub(super) async fn read(bench: &Bench, call: &NodeCall) -> Result<Outputs, NodeError> {
    let args = Arguments::of(bench, call).await?;
    let path = args.text("path")?;
    let asked = path.clone();
    let agent = bench.is_agents();
    let bytes = in_tree(bench, move |tree| {
        let relative = tree.relative(&asked)?;
        if agent && is_secret_path(&relative) {
            return Err(NodeError::new(FailureKind::Denied, format!("`{asked}` holds secrets")));
        }
        tree.read(&relative)
    })
    .await?;
    let Ok(text) = String::from_utf8(bytes) else {
        return Err(NodeError::new(FailureKind::BadInput, format!("`{path}` is not UTF-8 text")));
    };
    let content = bench.keep(&path, "text/plain", "docs", Value::String(text)).await?;
    Ok(Outputs::from_iter([("content".to_owned(), content)]))
}

/// Outputs `path`. The file is as a whole what was asked for, or as it was.
pub(super) async fn write(bench: &Bench, call: &NodeCall) -> Result<Outputs, NodeError> {
    let args = Arguments::of(bench, call).await?;
    let (path, content) = (args.text("path")?, args.printed("content")?);
    if content.len() as u64 > super::tree::LARGEST {
        return Err(NodeError::new(FailureKind::LimitExceeded, "the content has more than 8 MiB"));
    }
    bench.may_write(call, &path)?;
    bench.permit(call, &format!("writes {path}"), Some(&content)).await?;
    let (asked, key) = (path.clone(), call.key.as_str().to_owned());
    let interrupted = call.interrupted;
    in_tree(bench, move |tree| {
        let relative = tree.relative(&asked)?;
        // The attempt that was cut off had written it: nobody's change since is overwritten by the same again.
        if interrupted && tree.read(&relative).is_ok_and(|there| there == content.as_bytes()) {
            return Ok(());
        }
        tree.write(&relative, content.as_bytes(), &key)
    })
    .await?;
    Ok(Outputs::from_iter([("path".to_owned(), json!(path))]))
}

/// Outputs `files`, sorted. What git ignores is left out.
pub(super) async fn glob(bench: &Bench, call: &NodeCall) -> Result<Outputs, NodeError> {
    let args = Arguments::of(bench, call).await?;
    let patterns = args.texts("pattern")?;
    let root = bench.folder().to_owned();
    let agent = bench.is_agents();
    let paths = blocking(move || matching(&root, &patterns, agent)).await?;
    Ok(Outputs::from_iter([("files".to_owned(), json!(paths))]))
}

fn matching(root: &Path, patterns: &[String], agent: bool) -> Result<Vec<String>, NodeError> {
    let bad = |error: ignore::Error| NodeError::new(FailureKind::BadInput, error.to_string());
    let mut overrides = OverrideBuilder::new(root);
    for pattern in patterns {
        overrides.add(pattern).map_err(bad)?;
    }
    let overrides = overrides.build().map_err(bad)?;
    // The patterns are asked about each file: as overrides of the walk they would let ignored files in.
    let walk = WalkBuilder::new(root).hidden(false).follow_links(false).require_git(false).build();
    let mut paths = Vec::new();
    for entry in walk.filter_map(Result::ok) {
        let Ok(relative) = entry.path().strip_prefix(root) else { continue };
        let is_file = entry.file_type().is_some_and(|kind| kind.is_file());
        if !is_file || relative.starts_with(".git") || !overrides.matched(relative, false).is_whitelist() {
            continue;
        }
        if agent && is_secret_path(relative) {
            continue;
        }
        paths.extend(relative.to_str().map(str::to_owned));
        if paths.len() > MOST_PATHS {
            let message = format!("more than {MOST_PATHS} files match");
            return Err(NodeError::new(FailureKind::LimitExceeded, message));
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

async fn in_tree<T: Send + 'static>(
    bench: &Bench,
    work: impl FnOnce(&Tree) -> Result<T, NodeError> + Send + 'static,
) -> Result<T, NodeError> {
    let root = bench.folder().to_owned();
    blocking(move || work(&Tree::open(&root)?)).await
}

/// Runs what blocks elsewhere.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NodeError> + Send + 'static,
) -> Result<T, NodeError> {
    let ended = || NodeError::new(FailureKind::Internal, "the work ended unexpectedly");
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(ended()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matches_is_found_and_what_git_ignores_is_not() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in
            [("a.rs", ""), ("src/b.rs", ""), ("out/c.rs", ""), ("d.txt", ""), (".gitignore", "out\n")]
        {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let found = |pattern: &str| matching(folder.path(), &[pattern.to_owned()], false).unwrap();
        assert_eq!(found("*.rs"), ["a.rs", "src/b.rs"]);
        assert_eq!(found("src/**"), ["src/b.rs"]);
        assert_eq!(found("*.md"), Vec::<String>::new());
        assert!(matching(folder.path(), &["a[".to_owned()], false).is_err());
    }
}
