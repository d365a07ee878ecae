//! Whatever a person types or stands in: an error of the right kind, and nothing changed.

use std::fs;
use std::path::Path;

use podium_harness::TestEnvironment;

/// Folders that are no repository to work in, with the exit code and a word of the message.
#[test]
fn places_that_are_no_usable_repository_are_told_apart() {
    let environment = TestEnvironment::new();
    let root = environment.root();
    let folder = |name: &str| {
        let folder = root.join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    };
    let (nothing, empty_git, broken) = (folder("nothing"), folder("empty-git"), folder("broken"));
    fs::create_dir(empty_git.join(".git")).unwrap();
    fs::write(broken.join(".git"), "gitdir: /nowhere/at/all\n").unwrap();
    let unborn = folder("unborn");
    environment.git(&unborn, ["init", "-q", "-b", "main"]);

    let places: [(&Path, &[i32], &[&str]); 4] = [
        (&nothing, &[1, 4], &["repository"]),
        (&empty_git, &[1, 4], &["repository"]),
        (&broken, &[1, 4], &["repository", ".git"]),
        (&unborn, &[1, 3, 4], &["commit", "unborn"]),
    ];
    for (place, codes, words) in places {
        let (code, envelope) = environment.imi(["feat", "x"]).within(place).envelope();
        let message = envelope["error"]["message"].as_str().unwrap_or_default();
        assert!(codes.contains(&code), "{}: exit {code}: {envelope:#}", place.display());
        assert!(words.iter().any(|word| message.contains(word)), "{}: {message}", place.display());
        let hints = envelope["error"]["hints"].as_array().map_or(0, Vec::len);
        assert!(hints > 0, "{}: what to do next: {envelope:#}", place.display());
    }
    let missing = environment.imi(["list", "--repo", "/no/such/folder"]).fails(4);
    assert_eq!(missing["kind"], "not_found");
    assert!(fs::read_dir(&nothing).unwrap().next().is_none(), "nothing was made");
}

#[test]
fn a_bare_repository_has_worktrees_too() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let bare = environment.root().join("app.git");
    let made = environment.imi(["feat", "x"]).within(&bare).data();
    let path = Path::new(made["worktree"]["path"].as_str().unwrap());
    assert!(path.join("d0/f0.txt").is_file(), "{made:#}");
    drop(repo);
}

#[test]
fn a_detached_head_is_no_obstacle() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    repo.git(["checkout", "-q", "--detach"]);
    let made = environment.imi(["feat", "x"]).within(&repo).data();
    assert_eq!(made["worktree"]["branch"], "feat-x");
    let listed = environment.imi(["list"]).within(&repo).data();
    let main = listed["worktrees"].as_array().unwrap().iter().find(|w| w["trunk"] == true).unwrap();
    assert!(main["branch"].is_null(), "{main:#}");
}

#[test]
fn a_submodule_is_a_repository_of_its_own() {
    let environment = TestEnvironment::new();
    let part = environment.repo_builder().name("part").files(3).build();
    let whole = environment.repo_builder().name("whole").files(3).build();
    whole.git(["submodule", "add", "-q", part.path().to_str().unwrap(), "sub"]);
    whole.commit("with a part");
    whole.git(["push", "-q"]);

    let inside = environment.imi(["list"]).within(whole.path().join("sub")).data();
    let root = inside["worktrees"][0]["repo"]["root"].as_str().unwrap();
    assert!(root.ends_with("/sub"), "{inside:#}");
    let made = environment.imi(["feat", "x"]).within(&whole).data();
    let path = Path::new(made["worktree"]["path"].as_str().unwrap());
    assert!(path.join(".gitmodules").is_file());
    environment.imi(["remove", "feat-x"]).within(&whole).ok();
    assert!(whole.path().join("sub/d0/f0.txt").is_file());
}

#[test]
fn spaces_and_letters_of_any_script_are_fine_in_paths_and_names() {
    let environment = TestEnvironment::new();
    let repo = environment.repo_builder().name("Ann's Ünï 家 'x' \"y\" $z").build();
    let file = repo.write("ä ö/日本 \"語\".txt", "x");
    repo.commit("odd names");
    let made = environment.imi(["feat", "größe-日本"]).within(&repo).data();
    let path = Path::new(made["worktree"]["path"].as_str().unwrap()).to_owned();
    assert_eq!(made["worktree"]["name"], "feat-größe-日本");
    let name = file.strip_prefix(repo.path()).unwrap().to_owned();
    fs::write(path.join("neu ä.txt"), "new").unwrap();
    let status = environment.imi(["status", "feat-größe-日本"]).within(&repo).data();
    assert_eq!(status["changed"][0]["path"], "neu ä.txt", "{status:#}");
    let removed = environment.imi(["remove", "feat-größe-日本", "--force"]).within(&repo).data();
    assert!(!path.exists());
    environment.imi(["undo", removed["undo"].as_str().unwrap()]).within(&repo).ok();
    assert_eq!(fs::read_to_string(path.join("neu ä.txt")).unwrap(), "new");
    assert!(path.join(name).is_file());

    let spaced = environment.imi(["feat", "two words"]).within(&repo).data();
    assert_eq!(spaced["worktree"]["name"], "feat-two-words", "{spaced:#}");
    assert!(!spaced["notes"].as_array().unwrap().is_empty(), "a changed name is told");
}

#[test]
fn a_path_that_is_not_utf8_survives() {
    use std::os::unix::ffi::OsStrExt as _;
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let odd = environment.root().join(std::ffi::OsStr::from_bytes(b"od\xff"));
    fs::rename(repo.path(), &odd).unwrap();
    environment.imi(["feat", "x"]).within(&odd).ok();
    let listed = environment.imi(["list"]).within(&odd).data();
    assert!(listed["worktrees"][0]["pathBytes"].is_array(), "{listed:#}");
    environment.imi(["remove", "feat-x"]).within(&odd).ok();
}

#[test]
fn names_that_git_the_shell_or_the_disk_would_misread_are_refused() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let long = "x".repeat(300);
    let names = [
        "--upload-pack=x",
        "-x",
        "../x",
        "..",
        ".",
        "a..b",
        "a/../b",
        "/abs",
        "a//b",
        "a/",
        "x.lock",
        "a/x.lock/b",
        ".hidden",
        "",
        " ",
        "a\nb",
        "a\tb",
        "a\u{0}b",
        "a\u{202e}b",
        "a~b",
        "a^b",
        "a:b",
        "a?b",
        "a*b",
        "a[b",
        "a\\b",
        "a@{b",
        "@",
        "HEAD",
        long.as_str(),
    ];
    for name in names {
        if name.contains('\0') {
            // No argument can hold it.
            continue;
        }
        let (code, envelope) = environment.imi(["feat", "--", name]).within(&repo).envelope();
        let error = &envelope["error"];
        assert_eq!(code, 2, "{name:?}: {envelope:#}");
        assert_eq!(error["kind"], "user", "{name:?}: {envelope:#}");
        assert!(
            error["message"].as_str().is_some_and(|m| !m.is_empty() && m.len() < 500),
            "{name:?}: {envelope:#}"
        );
    }
    let listed = environment.imi(["list"]).within(&repo).data();
    assert_eq!(listed["worktrees"].as_array().map(Vec::len), Some(1), "nothing was made: {listed:#}");
    assert_eq!(repo.git(["branch", "--list"]), "* main");
}

#[test]
fn names_of_nothing_are_not_found() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let unknown: [&[&str]; 7] = [
        &["status", "feat-none"],
        &["go", "none"],
        &["claim", "feat-none", "--agent-id", "a"],
        &["release", "feat-none", "--agent-id", "a"],
        &["remove", "feat-none"],
        &["undo", "00000000-0000-7000-8000-000000000000"],
        &["remove", "../../etc"],
    ];
    for words in unknown {
        let (code, envelope) = environment.imi(words).within(&repo).envelope();
        assert!(
            matches!((code, envelope["error"]["kind"].as_str()), (4, Some("not_found")) | (1, Some("user"))),
            "imi {words:?}: exit {code}: {envelope:#}"
        );
    }
    let unknown: [&[&str]; 4] = [
        &["sessions", "show", "00000000-0000-7000-8000-000000000000"],
        &["sessions", "cancel", "no such id"],
        &["inbox", "answer", "nothing", "allow"],
        &["sessions", "capability", "'; drop table sessions; --"],
    ];
    for words in unknown {
        let (code, envelope) = environment.jelmore(words).within(&repo).envelope();
        assert!(
            matches!((code, envelope["error"]["kind"].as_str()), (4, Some("not_found")) | (1, Some("user"))),
            "jelmore {words:?}: exit {code}: {envelope:#}"
        );
    }
    environment.podium(["artifacts", "get", "0123456789abcdef"]).fails(4);
}

#[test]
fn searches_take_any_words() {
    let environment = TestEnvironment::new();
    for query in
        ["", "*", "\"", "AND OR NOT", "a:b", "title:", "((", "\\", "'; --", "日本", "-x", "[a TO b]", "~^"]
    {
        environment.podium(["artifacts", "search", "--", query]).ok();
        environment.jelmore(["sessions", "search", "--", query]).ok();
    }
}

#[test]
fn an_agent_id_may_not_forge_anything() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    environment.imi(["feat", "x"]).within(&repo).ok();
    for id in ["", " ", "a\nb", "\u{1b}[31m", &"a".repeat(10_000)] {
        let (code, envelope) =
            environment.imi(["claim", "feat-x", "--agent-id", id]).within(&repo).envelope();
        assert_eq!(code, 2, "{id:.20?}: {envelope:#}");
    }
    let claimed = environment.imi(["status", "feat-x"]).within(&repo).data();
    assert!(claimed["worktree"]["claim"].is_null(), "{claimed:#}");
    environment.imi(["claim", "feat-x", "--agent-id", "a", "--pid", "4000000"]).within(&repo).fails(1);
}
