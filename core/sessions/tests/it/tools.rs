use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;

use podium_secrets::{KnownSecrets, Redactor};
use podium_sessions::tools::{self, Ran, ToolCall, ToolContext};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A worktree with a few files, beside something that must not be reached.
fn tree() -> (TempDir, ToolContext) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("tree");
    for (path, text) in [
        ("tree/src/main.rs", "fn main() {\n    one();\n    two();\n}\n"),
        ("tree/src/lib.rs", "pub fn one() {}\n"),
        ("tree/docs/guide.md", "# Guide\n"),
        ("tree/.gitignore", "target/\n*.log\n!keep.log\n"),
        ("tree/target/out.rs", "fn one() {}\n"),
        ("tree/a.log", "one\n"),
        ("tree/keep.log", "one\n"),
        ("tree/.env", "API_KEY=abcdefgh12345678\n"),
        ("tree/.env.example", "API_KEY=\n"),
        ("tree/.git/config", "[core]\n"),
        ("outside/secret.txt", "outside\n"),
    ] {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let ctx = ToolContext::new(root, "s1".to_owned(), Arc::new(Redactor::default()));
    (dir, ctx)
}

async fn run(ctx: &ToolContext, name: &str, input: Value) -> Ran {
    tools::run(&ToolCall { id: "c1".to_owned(), name: name.to_owned(), input }, ctx).await
}

async fn ok(ctx: &ToolContext, name: &str, input: Value) -> String {
    let run = run(ctx, name, input.clone()).await;
    assert!(!run.result.is_error, "{name} {input}: {}", run.result.text);
    run.result.text
}

async fn fails(ctx: &ToolContext, name: &str, input: Value) -> String {
    let run = run(ctx, name, input.clone()).await;
    assert!(run.result.is_error, "{name} {input}: {}", run.result.text);
    run.result.text
}

#[tokio::test]
async fn what_makes_no_sense_is_told_with_a_way_out() {
    let (_dir, ctx) = tree();
    for (name, input, expected) in [
        ("delete_all", json!({}), "there is no tool `delete_all`; the tools are: read_file, "),
        ("read_file", json!({}), "missing field `path`"),
        ("read_file", json!("{\"path\": \"src/"), "it is not valid JSON"),
        ("read_file", json!("[1]"), "it is a list, not an object"),
        ("read_file", json!(7), "it is a number, not an object"),
        ("read_file", json!({"path": 7}), "invalid type"),
        (
            "read_file",
            json!({"path": "src/main.rs", "lines": 3}),
            "unknown field `lines`, expected one of `path`",
        ),
        ("read_file", json!({"path": "src/main.rs", "offset": -1}), "the input is wrong"),
        ("read_file", json!({"path": "src/main.rs", "offset": 9}), "`offset` is 9, but the file has 4 lines"),
        (
            "read_file",
            json!({"path": "nope.rs"}),
            "there is no `nope.rs`.\n`list_files` shows what there is.",
        ),
        ("read_file", json!({"path": "src/main.rs/x"}), "there is no `src/main.rs/x`"),
        ("read_file", json!({"path": "src"}), "is a folder; use `list_files`"),
        ("read_file", json!({"path": "a\0b"}), "the path is no path"),
        ("list_files", json!({"glob": "a{"}), "`glob`"),
        ("list_files", json!({"path": "nope"}), "there is no `nope`"),
        ("search", json!({"pattern": "("}), "set `literal`"),
        ("search", json!({"pattern": ""}), "`pattern` is empty"),
        ("edit_file", json!({"path": "src/lib.rs", "edits": []}), "`edits` has 1 to"),
        ("edit_file", json!({"path": "src/lib.rs", "edits": [{"old": "x"}]}), "missing field `new`"),
        ("edit_file", json!({"path": "nope", "edits": [{"old": "x", "new": "y"}]}), "there is no `nope`"),
        ("write_file", json!({"path": "docs", "content": ""}), "a folder"),
        ("write_file", json!({"path": "new/", "content": ""}), "names a folder"),
        ("write_file", json!({"path": "src/lib.rs/x", "content": ""}), "src/lib.rs/x"),
    ] {
        let told = fails(&ctx, name, input.clone()).await;
        assert!(told.starts_with("Error: ") && told.contains(expected), "{name} {input}: {told}");
    }
}

#[tokio::test]
async fn what_lies_outside_or_is_secret_or_gits_own_is_refused_and_logged() {
    let (dir, ctx) = tree();
    let outside = dir.path().join("outside/secret.txt");
    symlink(&outside, ctx.root.join("link.txt")).unwrap();
    symlink("../outside", ctx.root.join("folder")).unwrap();
    symlink(".env", ctx.root.join("harmless.txt")).unwrap();
    symlink(".git", ctx.root.join("repo")).unwrap();
    symlink("loop", ctx.root.join("loop")).unwrap();
    let absolute = outside.to_str().unwrap();
    for (path, reason) in [
        ("../outside/secret.txt", "outside_worktree"),
        ("src/../../outside/secret.txt", "outside_worktree"),
        (absolute, "outside_worktree"),
        ("/etc/passwd", "outside_worktree"),
        ("~/.ssh/id_rsa", "outside_worktree"),
        ("link.txt", "outside_worktree"),
        ("folder/secret.txt", "outside_worktree"),
        ("loop", "outside_worktree"),
        (".git/config", "git_folder"),
        (".GIT/config", "git_folder"),
        ("src/.git/hooks/x", "git_folder"),
        ("repo/config", "git_folder"),
        (".env", "secret_file"),
        ("harmless.txt", "secret_file"),
        ("src/.ssh/known_hosts", "secret_file"),
        ("deploy/id_ed25519", "secret_file"),
    ] {
        for (name, input) in [
            ("read_file", json!({"path": path})),
            ("write_file", json!({"path": path, "content": "x", "overwrite": true})),
            ("edit_file", json!({"path": path, "edits": [{"old": "o", "new": "x"}]})),
            ("search", json!({"pattern": "o", "path": path})),
            ("list_files", json!({"path": path})),
        ] {
            let run = run(&ctx, name, input).await;
            assert!(run.result.is_error, "{name} {path}: {}", run.result.text);
            assert_eq!(
                run.result.data,
                Some(json!({"denied": reason})),
                "{name} {path}: {}",
                run.result.text
            );
            assert!(!run.result.text.contains("outside\n"), "{name} {path}");
            let event = run.event.unwrap();
            assert_eq!((event.kind.as_ref(), event.subject.as_str()), ("tool.denied", "session/s1"));
            assert_eq!(event.data["reason"], reason);
        }
    }
    assert_eq!(fs::read_to_string(&outside).unwrap(), "outside\n");
    assert_eq!(fs::read_to_string(ctx.root.join(".env")).unwrap(), "API_KEY=abcdefgh12345678\n");
    ok(&ctx, "read_file", json!({"path": ".env.example"})).await;
}

#[tokio::test]
async fn links_within_the_tree_and_absolute_paths_into_it_are_followed() {
    let (_dir, ctx) = tree();
    symlink("../docs/guide.md", ctx.root.join("src/guide")).unwrap();
    symlink(ctx.root.join("docs"), ctx.root.join("manual")).unwrap();
    for path in
        ["src/guide", "manual/guide.md", "./docs//guide.md", ctx.root.join("docs/guide.md").to_str().unwrap()]
    {
        assert_eq!(ok(&ctx, "read_file", json!({"path": path})).await, "     1\t# Guide\n", "{path}");
    }
    // Changing what a link leads to changes that file, and the link stays one.
    ok(&ctx, "edit_file", json!({"path": "src/guide", "edits": [{"old": "Guide", "new": "Manual"}]})).await;
    assert_eq!(fs::read_to_string(ctx.root.join("docs/guide.md")).unwrap(), "# Manual\n");
    assert!(ctx.root.join("src/guide").is_symlink());
}

#[tokio::test]
async fn files_are_read_in_numbered_parts() {
    let (_dir, ctx) = tree();
    let text: String = (1..=5_000).map(|n| format!("line {n}\n")).collect();
    fs::write(ctx.root.join("long.txt"), text).unwrap();
    let part = ok(&ctx, "read_file", json!({"path": "long.txt", "offset": 4998, "limit": 2})).await;
    assert_eq!(
        part,
        "  4998\tline 4998\n  4999\tline 4999\n[lines 4998 to 4999 of 5000; go on with `offset` 5000]\n"
    );
    let all = ok(&ctx, "read_file", json!({"path": "long.txt", "limit": 100_000})).await;
    assert!(all.len() <= 32 * 1024 && all.starts_with("     1\tline 1\n"), "{}", all.len());
    let next: usize = all.rsplit("`offset` ").next().unwrap().trim_end_matches("]\n").parse().unwrap();
    let second = ok(&ctx, "read_file", json!({"path": "long.txt", "offset": next})).await;
    assert!(second.starts_with(&format!("{next:>6}\tline {next}\n")));
    fs::write(ctx.root.join("empty"), "").unwrap();
    assert_eq!(ok(&ctx, "read_file", json!({"path": "empty"})).await, "[the file is empty]\n");
    fs::write(ctx.root.join("wide"), "x".repeat(100_000)).unwrap();
    let wide = ok(&ctx, "read_file", json!({"path": "wide"})).await;
    assert!(wide.len() < 3_000 && wide.contains("[... 98000 bytes more in this line]"), "{wide}");
    fs::write(ctx.root.join("latin"), b"caf\xe9\n").unwrap();
    assert!(ok(&ctx, "read_file", json!({"path": "latin"})).await.contains("not valid UTF-8"));
}

#[tokio::test]
async fn binary_and_huge_files_and_pipes_do_no_harm() {
    let (_dir, ctx) = tree();
    fs::write(ctx.root.join("image.png"), b"\x89PNG\0\0\0").unwrap();
    assert!(fails(&ctx, "read_file", json!({"path": "image.png"})).await.contains("binary file of 7 bytes"));
    fails(&ctx, "edit_file", json!({"path": "image.png", "edits": [{"old": "PNG", "new": "x"}]})).await;
    let huge = fs::File::create(ctx.root.join("huge.bin")).unwrap();
    huge.set_len(100 * 1024 * 1024).unwrap();
    assert!(fails(&ctx, "read_file", json!({"path": "huge.bin"})).await.contains("binary"));
    let line = format!("{}\n", "text ".repeat(20));
    fs::write(ctx.root.join("huge.txt"), line.repeat(100 * 1024 * 1024 / line.len())).unwrap();
    let part = ok(&ctx, "read_file", json!({"path": "huge.txt", "offset": 1_000_000, "limit": 1})).await;
    assert!(part.starts_with("1000000\ttext text") && part.contains("too large to be edited"), "{part}");
    assert!(
        fails(&ctx, "edit_file", json!({"path": "huge.txt", "edits": [{"old": "a", "new": "b"}]}))
            .await
            .contains("larger than 10 MiB")
    );
    let found = ok(&ctx, "search", json!({"pattern": "text", "path": "huge.txt"})).await;
    assert!(found.len() < 64 * 1024 && found.contains("only the first 100"));
    rustix::fs::mknodat(rustix::fs::CWD, ctx.root.join("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        ctx.root.join("docs/.gitignore"),
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    for (name, input) in [
        ("read_file", json!({"path": "pipe"})),
        ("edit_file", json!({"path": "pipe", "edits": [{"old": "a", "new": "b"}]})),
        ("write_file", json!({"path": "pipe", "content": "x", "overwrite": true})),
    ] {
        assert!(fails(&ctx, name, input).await.contains("neither a file nor a folder"), "{name}");
    }
    ok(&ctx, "search", json!({"pattern": "Guide"})).await;
}

#[tokio::test]
async fn lists_leave_out_what_git_ignores_and_show_near_folders_first() {
    let (_dir, ctx) = tree();
    let all = ok(&ctx, "list_files", json!({})).await;
    let expected =
        [".env", ".env.example", ".gitignore", "docs/guide.md", "keep.log", "src/lib.rs", "src/main.rs"];
    assert_eq!(all.lines().collect::<Vec<_>>(), expected);
    assert_eq!(ok(&ctx, "list_files", json!({"glob": "*.rs"})).await, "src/lib.rs\nsrc/main.rs\n");
    assert_eq!(ok(&ctx, "list_files", json!({"path": "src", "glob": "m*"})).await, "src/main.rs\n");
    assert_eq!(ok(&ctx, "list_files", json!({"glob": "*.rs", "ignored": true})).await.lines().count(), 3);
    assert_eq!(ok(&ctx, "list_files", json!({"glob": "*.py"})).await, "No files.\n");
    let top = ok(&ctx, "list_files", json!({"depth": 1})).await;
    assert!(top.contains("docs/\n") && top.contains("src/\n") && !top.contains("main.rs"), "{top}");
    for n in 0..3_000 {
        fs::create_dir_all(ctx.root.join(format!("many/{}", n % 10))).unwrap();
        fs::write(ctx.root.join(format!("many/{}/{n}.txt", n % 10)), "").unwrap();
    }
    let some = ok(&ctx, "list_files", json!({"limit": 20})).await;
    assert!(some.contains("src/main.rs") && some.contains("only the first 20"), "{some}");
    assert_eq!(some.lines().count(), 21);
}

#[tokio::test]
async fn searches_find_lines_but_nothing_that_is_kept_from_agents() {
    let (dir, ctx) = tree();
    symlink("../outside", ctx.root.join("folder")).unwrap();
    let found = ok(&ctx, "search", json!({"pattern": r"one\("})).await;
    assert_eq!(found, "src/lib.rs:1:pub fn one() {}\nsrc/main.rs:2:    one();\n[2 lines in 2 files]\n");
    let around = ok(&ctx, "search", json!({"pattern": "two", "context": 1, "path": "src"})).await;
    assert_eq!(around, "src/main.rs-2-    one();\nsrc/main.rs:3:    two();\nsrc/main.rs-4-}\n");
    assert_eq!(ok(&ctx, "search", json!({"pattern": "one()", "literal": true})).await.lines().count(), 3);
    assert_eq!(
        ok(&ctx, "search", json!({"pattern": "GUIDE", "ignore_case": true})).await,
        "docs/guide.md:1:# Guide\n"
    );
    for kept in ["abcdefgh12345678", "outside", r"\[core\]"] {
        assert_eq!(ok(&ctx, "search", json!({"pattern": kept})).await, "No matches.\n", "{kept}");
    }
    drop(dir);
}

#[tokio::test]
async fn edits_are_all_done_or_none_and_keep_mode_and_line_ends() {
    let (_dir, ctx) = tree();
    let path = ctx.root.join("run.sh");
    fs::write(&path, "#!/bin/sh\r\necho one\r\necho two\r\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let before = fs::read(&path).unwrap();
    let half = json!({"path": "run.sh", "edits": [{"old": "one", "new": "1"}, {"old": "three", "new": "3"}]});
    assert!(fails(&ctx, "edit_file", half).await.contains("edit 2 of 2: `old` is not in the file"));
    assert_eq!(fs::read(&path).unwrap(), before);
    let both = json!({"path": "run.sh", "edits": [{"old": "one\necho two", "new": "1\necho 2"}]});
    let run = run(&ctx, "edit_file", both).await;
    assert_eq!(fs::read_to_string(&path).unwrap(), "#!/bin/sh\r\necho 1\r\necho 2\r\n");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);
    let data = run.result.data.unwrap();
    assert_eq!(data["path"], "run.sh");
    assert_eq!(data["before"], blake3::hash(&before).to_hex().as_str());
    assert_eq!(data["after"], blake3::hash(&fs::read(&path).unwrap()).to_hex().as_str());
    let diff = data["diff"].as_str().unwrap();
    assert!(diff.starts_with("--- a/run.sh\n+++ b/run.sh\n@@") && diff.contains("-echo one\r\n"), "{diff}");
    assert_eq!(fs::read_dir(&ctx.root).unwrap().filter(|e| is_left_over(e.as_ref().unwrap())).count(), 0);
}

fn is_left_over(entry: &fs::DirEntry) -> bool {
    entry.file_name().to_string_lossy().starts_with(".podium-write")
}

#[tokio::test]
async fn nothing_is_written_over_what_was_not_seen() {
    let (_dir, ctx) = tree();
    let write = |overwrite: bool| json!({"path": "src/lib.rs", "content": "mine\n", "overwrite": overwrite});
    assert!(fails(&ctx, "write_file", write(false)).await.contains("was not read in this session"));
    ok(&ctx, "read_file", json!({"path": "src/lib.rs"})).await;
    fs::write(ctx.root.join("src/lib.rs"), "theirs\n").unwrap();
    assert!(fails(&ctx, "write_file", write(false)).await.contains("changed since it was read"));
    let edit = json!({"path": "src/lib.rs", "edits": [{"old": "theirs", "new": "mine"}]});
    assert!(fails(&ctx, "edit_file", edit.clone()).await.contains("changed since it was read"));
    let read = run(&ctx, "read_file", json!({"path": "src/lib.rs"})).await.result;
    // Another daemon goes on, and knows from the transcript what was seen.
    let resumed = ToolContext::new(ctx.root.clone(), "s1".to_owned(), Arc::new(Redactor::default()));
    resumed.marks.learn(&read.data.unwrap());
    ok(&resumed, "write_file", write(false)).await;
    ok(&resumed, "edit_file", json!({"path": "src/lib.rs", "edits": [{"old": "mine", "new": "ours"}]})).await;
    ok(&resumed, "write_file", json!({"path": "src/lib.rs", "content": "all\n"})).await;
    fs::write(ctx.root.join("src/lib.rs"), "theirs\n").unwrap();
    ok(&resumed, "write_file", write(true)).await;
    let new = run(&ctx, "write_file", json!({"path": "a/b/c.txt", "content": "1\n2\n"})).await;
    assert_eq!(new.result.data.unwrap()["before"], Value::Null);
    assert_eq!(fs::read_to_string(ctx.root.join("a/b/c.txt")).unwrap(), "1\n2\n");
}

#[tokio::test]
async fn secrets_are_neither_shown_nor_overwritten_by_their_placeholders() {
    let (_dir, ctx) = tree();
    let mut known = KnownSecrets::new();
    known.add("API_KEY", "abcdefgh12345678");
    let ctx = ToolContext { redactor: Arc::new(Redactor::new(&known)), ..ctx };
    fs::write(ctx.root.join("conf.toml"), "key = \"abcdefgh12345678\"\nport = 1\n").unwrap();
    let read = ok(&ctx, "read_file", json!({"path": "conf.toml"})).await;
    assert!(read.contains("[redacted:API_KEY]") && !read.contains("abcdefgh"), "{read}");
    let copied = json!({"path": "conf.toml", "content": "key = \"[redacted:API_KEY]\"\nport = 2\n"});
    assert!(fails(&ctx, "write_file", copied).await.contains("would overwrite it"));
    let edited = run(
        &ctx,
        "edit_file",
        json!({"path": "conf.toml", "edits": [{"old": "port = 1", "new": "port = 2"}]}),
    )
    .await;
    let told = format!("{} {:?}", edited.result.text, edited.result.data);
    assert!(told.contains("[redacted:API_KEY]") && !told.contains("abcdefgh"), "{told}");
    assert_eq!(
        fs::read_to_string(ctx.root.join("conf.toml")).unwrap(),
        "key = \"abcdefgh12345678\"\nport = 2\n"
    );
}

#[tokio::test]
async fn long_results_are_bounded_and_their_whole_is_handed_on() {
    let (_dir, ctx) = tree();
    fs::write(ctx.root.join("many.txt"), "needle in a long line of hay and straw and grass\n".repeat(900))
        .unwrap();
    let run = run(&ctx, "search", json!({"pattern": "needle", "limit": 1000})).await;
    assert!(run.result.text.len() < 33 * 1024 && run.result.text.contains("bytes left out"));
    let whole = String::from_utf8(run.overflow.unwrap()).unwrap();
    assert_eq!(whole.lines().count(), 900);
}

#[tokio::test]
async fn a_stopped_session_stops_its_tools() {
    let (_dir, ctx) = tree();
    ctx.stop.cancel();
    for (name, input) in [
        ("search", json!({"pattern": "one"})),
        ("list_files", json!({})),
        ("write_file", json!({"path": "new.txt", "content": "x"})),
    ] {
        assert!(fails(&ctx, name, input).await.contains("stopped"), "{name}");
    }
    assert!(!ctx.root.join("new.txt").exists());
}

#[test]
fn every_tool_tells_providers_what_it_takes() {
    let specs: BTreeMap<String, tools::ToolSpec> =
        tools::specs().into_iter().map(|s| (s.name.clone(), s)).collect();
    for spec in specs.values() {
        assert_eq!(spec.input_schema["type"], "object", "{}", spec.name);
        assert_eq!(spec.input_schema["additionalProperties"], false, "{}", spec.name);
        assert!(!spec.input_schema.to_string().contains("$ref"), "{}: {}", spec.name, spec.input_schema);
        let described = spec.input_schema["properties"].as_object().unwrap();
        assert!(!described.is_empty() && spec.description.len() > 40, "{}", spec.name);
    }
    assert_eq!(specs["read_file"].input_schema["required"], json!(["path"]));
    assert!(
        specs["edit_file"].input_schema["properties"]["edits"]["items"]["properties"]["old"]["description"]
            .is_string()
    );
    let reading: Vec<&str> =
        specs.keys().map(String::as_str).filter(|name| tools::reads_only(name)).collect();
    assert_eq!(reading, ["list_files", "read_file", "search"]);
}

#[tokio::test]
async fn a_path_that_goes_through_a_file_name_with_odd_characters_works() {
    let (_dir, ctx) = tree();
    for name in
        ["with space.txt", "ünï.txt", "-dash", "a'b\"c", "new\nline", "..double", ".gitkeep", ".github/x"]
    {
        ok(&ctx, "write_file", json!({"path": name, "content": "x\n"})).await;
        assert!(Path::new(&ctx.root.join(name)).is_file(), "{name:?}");
        assert_eq!(ok(&ctx, "read_file", json!({"path": name})).await, "     1\tx\n", "{name:?}");
    }
}
