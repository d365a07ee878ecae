//! No path leads out of the tree, whatever it is and however fast links are exchanged meanwhile.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use podium_secrets::Redactor;
use podium_sessions::tools::{self, ToolCall, ToolContext};
use proptest::prelude::*;
use serde_json::{Value, json};

const OUTSIDE: &str = "out of reach";

/// Folders `a` and `a/b` with files, and whatever links the case asks for.
fn tree(dir: &Path, links: &[(String, String)]) -> ToolContext {
    let root = dir.join("root");
    fs::create_dir_all(root.join("a/b")).unwrap();
    fs::create_dir_all(root.join(".git/hooks")).unwrap();
    fs::write(root.join(".git/config"), OUTSIDE).unwrap();
    fs::write(root.join(".env"), OUTSIDE).unwrap();
    fs::write(root.join("a/f"), "inside\n").unwrap();
    fs::create_dir_all(dir.join("out/b")).unwrap();
    for file in ["f", "out/f", "out/b/f", "out/l0"] {
        fs::write(dir.join(file), OUTSIDE).unwrap();
    }
    for (at, target) in links {
        let _ = symlink(target, root.join(at));
    }
    ToolContext::new(root, "s".to_owned(), Arc::new(Redactor::default()))
}

/// Everything outside, as one text.
fn outside(dir: &Path) -> String {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path == dir.join("root") {
                continue;
            }
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(path),
                false => found.push(format!("{}={}", path.display(), fs::read_to_string(&path).unwrap())),
            }
        }
    }
    for kept in [".git/config", ".env"] {
        found.push(fs::read_to_string(dir.join("root").join(kept)).unwrap());
    }
    found.push(fs::read_dir(dir.join("root/.git/hooks")).unwrap().count().to_string());
    found.sort();
    found.join("\n")
}

async fn call(ctx: &ToolContext, name: &str, input: Value) -> String {
    let call = ToolCall { id: "c".to_owned(), name: name.to_owned(), input };
    let run = tools::run(&call, ctx).await;
    format!("{}{:?}", run.result.text, run.result.data)
}

fn part() -> impl Strategy<Value = String> {
    let parts = [
        "a", "b", "f", "l0", "l1", "l2", "..", ".", "", ".git", ".GIT", "hooks", "config", ".env", "out",
        "root", "new", "~",
    ];
    prop_oneof![
        8 => proptest::sample::select(parts.map(str::to_owned).to_vec()),
        1 => "[ -~]{1,6}",
    ]
}

fn path() -> impl Strategy<Value = String> {
    (any::<bool>(), proptest::collection::vec(part(), 1..7))
        .prop_map(|(absolute, parts)| format!("{}{}", if absolute { "/" } else { "" }, parts.join("/")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_path_reads_or_writes_outside(
        path in path(),
        below_root in any::<bool>(),
        links in proptest::collection::vec((proptest::sample::select(vec!["l0", "l1", "a/l2", "a/b/l0"]), path()), 0..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        // Absolute ones lead around in the folder that holds the tree, where there is something to find.
        let place = |path: &str| match path.strip_prefix('/') {
            Some(rest) => format!("{}/{rest}", real.display()),
            None => path.to_owned(),
        };
        let links: Vec<_> = links.into_iter().map(|(at, target)| (at.to_owned(), place(&target))).collect();
        let ctx = tree(&real, &links);
        let asked = if below_root { format!("{}/{path}", ctx.root.display()) } else { place(&path) };
        let before = outside(&real);
        runtime.block_on(async {
            for (name, input) in [
                ("read_file", json!({ "path": asked })),
                ("search", json!({ "path": asked, "pattern": "reach" })),
                ("list_files", json!({ "path": asked })),
                ("edit_file", json!({ "path": asked, "edits": [{ "old": "reach", "new": "grip" }] })),
                ("write_file", json!({ "path": asked, "content": "written", "overwrite": true })),
                ("write_file", json!({ "path": format!("{asked}/deep/er"), "content": "written" })),
            ] {
                let told = call(&ctx, name, input).await;
                prop_assert!(!told.contains(OUTSIDE), "{name} {asked:?} with {links:?}: {told}");
            }
            Ok(())
        })?;
        prop_assert_eq!(outside(&real), before, "{:?} with {:?}", asked, links);
    }
}

#[test]
fn a_folder_that_becomes_a_link_at_any_moment_leads_nowhere() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().canonicalize().unwrap();
    let ctx = tree(&real, &[]);
    fs::write(ctx.root.join("a/b/f"), "inside\n").unwrap();
    fs::write(ctx.root.join("a/g"), "inside\n").unwrap();
    symlink("../../out/b", ctx.root.join("a/link")).unwrap();
    symlink("../../f", ctx.root.join("a/file")).unwrap();
    let before = outside(&real);
    let over = Arc::new(AtomicBool::new(false));
    let racer = std::thread::spawn({
        let (root, over) = (ctx.root.clone(), Arc::clone(&over));
        move || {
            let exchange = |one: &str, other: &str| {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                let (one, other) = (root.join(one), root.join(other));
                rustix::fs::renameat_with(rustix::fs::CWD, &one, rustix::fs::CWD, &other, flags).unwrap();
            };
            while !over.load(Ordering::Relaxed) {
                exchange("a/b", "a/link");
                exchange("a/g", "a/file");
            }
        }
    });
    runtime.block_on(async {
        let mut reached = 0;
        for n in 0..300 {
            for (name, input) in [
                ("read_file", json!({ "path": "a/b/f" })),
                ("read_file", json!({ "path": "a/g" })),
                ("search", json!({ "pattern": "reach" })),
                (
                    "write_file",
                    json!({ "path": "a/b/f", "content": format!("inside {n}\n"), "overwrite": true }),
                ),
                (
                    "write_file",
                    json!({ "path": "a/g", "content": format!("inside {n}\n"), "overwrite": true }),
                ),
                ("write_file", json!({ "path": format!("a/b/new{n}/x"), "content": "x" })),
            ] {
                let told = call(&ctx, name, input).await;
                assert!(!told.contains(OUTSIDE), "{name}: {told}");
                reached += usize::from(told.contains("inside"));
            }
        }
        assert!(reached > 0, "some calls found the tree as it should be");
    });
    over.store(true, Ordering::Relaxed);
    racer.join().unwrap();
    assert_eq!(outside(&real), before);
}
