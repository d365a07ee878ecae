//! The wrong-tree guard, with real git and real hooks.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use podium_protocol::{GuardAction, GuardReport, GuardRunParams, GuardState, RepoForgetParams};

use crate::bed::{Bed, agent, person};

async fn claimed(bed: &Bed, name: &str) -> PathBuf {
    let path = PathBuf::from(bed.create(name).await.worktree.path);
    bed.claim(&format!("feat-{name}"), "claude 1").await.unwrap();
    path
}

fn git(bed: &Bed, at: &Path, vars: &[(&str, &str)], args: &[&str]) -> Output {
    let mut command = Command::new("git");
    command.args(args).current_dir(at).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", bed.root.join("home"));
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_EDITOR", "true").env("USER", "ada");
    command.envs(vars.iter().copied()).output().unwrap()
}

/// Commits a change; `true` if git did.
fn commits(bed: &Bed, at: &Path, vars: &[(&str, &str)], more: &[&str]) -> bool {
    let text = format!("{}x", fs::read_to_string(at.join("a.txt")).unwrap());
    fs::write(at.join("a.txt"), text).unwrap();
    let args = [&["commit", "-qam", "change"], more].concat();
    git(bed, at, vars, &args).status.success()
}

const HOLDER: &[(&str, &str)] = &[("PODIUM_AGENT_ID", "claude 1")];
const OTHER: &[(&str, &str)] = &[("PODIUM_AGENT_ID", "claude")];
const OVERRIDE: &[(&str, &str)] = &[("PODIUM_OVERRIDE", "1")];

fn hook(path: &Path, body: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

async fn guard(bed: &Bed, action: GuardAction) -> GuardReport {
    let params = GuardRunParams { at: bed.at(), worktree: None, action };
    bed.service.guard(params, &person()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_holder_commits_and_nobody_else_does() {
    let bed = Bed::new();
    let at = claimed(&bed, "x").await;
    assert!(commits(&bed, &at, HOLDER, &[]));
    assert!(commits(&bed, &at, &[HOLDER[0], ("PODIUM_CLAIM_TOKEN", "1")], &[]));
    assert!(!commits(&bed, &at, &[HOLDER[0], ("PODIUM_CLAIM_TOKEN", "99")], &[]), "an older claim's token");
    let before = bed.git(&at, &["rev-parse", "HEAD"]);
    for vars in [OTHER, &[], &[OTHER[0], OVERRIDE[0]]] {
        assert!(!commits(&bed, &at, vars, &[]), "{vars:?}");
        assert!(!commits(&bed, &at, vars, &["--no-verify"]), "{vars:?}");
        assert!(!commits(&bed, &at, vars, &["--amend"]), "{vars:?}");
        assert!(!git(&bed, &at, vars, &["reset", "-q", "--hard", "main"]).status.success());
    }
    assert_eq!(bed.git(&at, &["rev-parse", "HEAD"]), before);
    let refused = git(&bed, &at, OTHER, &["commit", "--allow-empty", "-qm", "x"]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("feat-x is claimed by claude 1") && told.contains("you are claude\n"), "{told}");
    // What is not a commit here goes on: looking, tags, other branches.
    for args in
        [&["status"][..], &["tag", "t"], &["branch", "elsewhere"], &["stash", "list"], &["fetch", "-q"]]
    {
        assert!(git(&bed, &at, OTHER, args).status.success(), "{args:?}");
    }
    assert!(git(&bed, &at, HOLDER, &["reset", "-q", "--hard"]).status.success());
    bed.release("feat-x", "claude 1").await.unwrap();
    assert!(commits(&bed, &at, OTHER, &[]), "free again");
    assert!(commits(&bed, &bed.work, OTHER, &[]), "the main worktree has no guard");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_may_override_and_it_is_recorded_once() {
    let bed = Bed::new();
    let at = claimed(&bed, "x").await;
    assert!(commits(&bed, &at, OVERRIDE, &[]));
    let head = bed.git(&at, &["rev-parse", "HEAD"]);
    for _ in 0..2 {
        for repo in bed.service.repo_ids().await.unwrap() {
            bed.service.read_overrides(&repo).await.unwrap();
        }
    }
    let events = bed.events("claim.overridden").await;
    assert_eq!(events.len(), 1);
    let data = &events[0].data;
    assert_eq!(
        (&data["name"], &data["agentId"], &data["user"]),
        (&"feat-x".into(), &"claude 1".into(), &"ada".into())
    );
    assert_eq!(data["to"], head.trim());
    assert_eq!(data["token"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_of_the_user_run_as_before_wherever_they_are() {
    let bed = Bed::new();
    let at = claimed(&bed, "x").await;
    let hooks = bed.work.join(".git/hooks");
    let log = bed.root.join("log");
    let say = format!("echo \"$# $PWD $(cat)\" >> '{}'; test ! -e fail", log.display());
    hook(&hooks.join("pre-commit"), &say);
    assert!(commits(&bed, &at, HOLDER, &[]));
    assert_eq!(fs::read_to_string(&log).unwrap().trim(), format!("0 {}", at.display()));
    fs::write(at.join("fail"), "").unwrap();
    assert!(!commits(&bed, &at, HOLDER, &[]), "and can still fail");
    assert!(commits(&bed, &at, HOLDER, &["--no-verify"]));
    fs::remove_file(at.join("fail")).unwrap();
    // Its standard input and arguments, also where the guard reads them too.
    fs::remove_file(&log).unwrap();
    hook(&hooks.join("reference-transaction"), &format!("echo \"$1 $(cat)\" >> '{}'", log.display()));
    hook(&hooks.join("commit-msg"), &format!("echo \"msg $#\" >> '{}'", log.display()));
    assert!(commits(&bed, &at, OVERRIDE, &[]));
    let seen = fs::read_to_string(&log).unwrap();
    assert!(
        seen.contains("msg 1") && seen.contains("refs/heads/feat-x") && seen.contains("committed"),
        "{seen}"
    );
    // Another folder of hooks, set after the guard: as husky does.
    hook(&at.join(".husky/pre-commit"), "exit 7");
    bed.git(&bed.work, &["config", "core.hooksPath", ".husky"]);
    assert!(!commits(&bed, &at, HOLDER, &[]), "the new folder's hook runs");
    bed.git(&bed.work, &["config", "--unset", "core.hooksPath"]);
    assert!(commits(&bed, &at, HOLDER, &[]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worktree_with_a_hooks_path_of_its_own_gets_it_back() {
    let bed = Bed::new();
    let at = PathBuf::from(bed.create("x").await.worktree.path);
    hook(&bed.root.join("my hooks/pre-commit"), "test ! -e fail");
    bed.git(&bed.work, &["config", "extensions.worktreeConfig", "true"]);
    let own = bed.root.join("my hooks");
    bed.git(&at, &["config", "--worktree", "core.hooksPath", own.to_str().unwrap()]);
    bed.claim("feat-x", "claude 1").await.unwrap();
    assert!(commits(&bed, &at, HOLDER, &[]) && !commits(&bed, &at, OTHER, &[]));
    fs::write(at.join("fail"), "").unwrap();
    assert!(!commits(&bed, &at, HOLDER, &[]), "the worktree's own hook runs");
    let removed = guard(&bed, GuardAction::Remove).await;
    assert_eq!((removed.enabled, removed.worktrees[0].state), (false, GuardState::Absent));
    assert_eq!(bed.git(&at, &["config", "core.hooksPath"]).trim(), own.to_str().unwrap());
    fs::remove_file(at.join("fail")).unwrap();
    assert!(commits(&bed, &at, OTHER, &[]));
    let installed = guard(&bed, GuardAction::Install).await;
    assert_eq!((installed.enabled, installed.worktrees[0].state), (true, GuardState::Installed));
    assert!(!commits(&bed, &at, OTHER, &[]));
    let params = GuardRunParams { at: bed.at(), worktree: None, action: GuardAction::Remove };
    assert!(bed.service.guard(params, &agent("a", "s")).await.is_err(), "agents do not take it out");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tools_hooks_in_the_guards_folder_are_noticed_and_moved_to_where_they_belong() {
    let bed = Bed::new();
    let at = claimed(&bed, "x").await;
    let folder = PathBuf::from(bed.git(&at, &["rev-parse", "--git-path", "hooks"]).trim());
    // Lefthook and others ask git for the folder, and write there.
    hook(&folder.join("pre-commit"), "test ! -e fail");
    let health = bed.service.health().await;
    let part = health.iter().find(|part| part.0 == "guard").unwrap();
    assert_eq!(part.1, podium_protocol::PartState::Degraded, "{part:?}");
    assert_eq!(guard(&bed, GuardAction::Status).await.worktrees[0].state, GuardState::Altered);
    assert_eq!(guard(&bed, GuardAction::Install).await.worktrees[0].state, GuardState::Installed);
    assert!(commits(&bed, &at, HOLDER, &[]) && !commits(&bed, &at, OTHER, &[]));
    fs::write(at.join("fail"), "").unwrap();
    assert!(!commits(&bed, &at, HOLDER, &[]), "their hook still runs");
    assert_eq!(lost(&bed).await, [] as [String; 0]);
    bed.git(&at, &["config", "--worktree", "core.hooksPath", "/nowhere"]);
    assert_eq!(guard(&bed, GuardAction::Status).await.worktrees[0].state, GuardState::Replaced);
    assert_eq!(lost(&bed).await, ["feat-x"]);
    guard(&bed, GuardAction::Install).await;
    assert_eq!(lost(&bed).await, [] as [String; 0]);
}

/// Worktrees that the doctor finds without their guard.
async fn lost(bed: &Bed) -> Vec<String> {
    let params = podium_protocol::RepoDoctorParams { at: bed.at() };
    let mut findings = bed.service.diagnose(params, &person()).await.unwrap().findings;
    findings.retain(|finding| finding.what == podium_protocol::FindingKind::LostGuard);
    findings.into_iter().filter_map(|finding| finding.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebase_of_twenty_commits_works_for_the_holder_and_not_for_others() {
    let bed = Bed::new();
    let at = claimed(&bed, "x").await;
    for number in 0..20 {
        fs::write(at.join(format!("f{number}")), "x").unwrap();
        bed.git(&at, &["add", "-A"]);
        assert!(git(&bed, &at, HOLDER, &["commit", "-qm", "c"]).status.success());
    }
    bed.commit(&bed.work, "b.txt", "two\n");
    assert!(!git(&bed, &at, OTHER, &["rebase", "-q", "main"]).status.success());
    git(&bed, &at, HOLDER, &["rebase", "--abort"]);
    let done = git(&bed, &at, HOLDER, &["rebase", "-q", "main"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(bed.git(&at, &["rev-list", "--count", "main..HEAD"]).trim(), "20");
}

#[tokio::test(flavor = "multi_thread")]
async fn submodules_have_hooks_of_their_own() {
    let bed = Bed::new();
    let lib = bed.root.join("lib");
    bed.git(&bed.root, &["init", "-q", "lib"]);
    bed.commit(&lib, "a.txt", "lib\n");
    let at = claimed(&bed, "x").await;
    let add = ["-c", "protocol.file.allow=always", "submodule", "add", "-q", lib.to_str().unwrap(), "lib"];
    assert!(git(&bed, &at, HOLDER, &add).status.success());
    assert!(commits(&bed, &at.join("lib"), OTHER, &[]), "another repository");
    assert!(!commits(&bed, &at, OTHER, &[]));
}

#[tokio::test(flavor = "multi_thread")]
async fn sha256_repositories_and_spaces_are_guarded_too() {
    let bed = Bed::empty();
    let work = bed.root.join("with space");
    bed.git(&bed.root, &["init", "-q", "-b", "main", "--object-format=sha256", "with space"]);
    bed.commit(&work, "a.txt", "one\n");
    let params = podium_protocol::WorktreeCreateParams {
        at: crate::bed::at(&work),
        name: Some("x".to_owned()),
        agent_id: Some("claude 1".to_owned()),
        ..Default::default()
    };
    let at = PathBuf::from(bed.service.create(params, &person()).await.unwrap().worktree.path);
    assert!(commits(&bed, &at, HOLDER, &[]) && !commits(&bed, &at, OTHER, &[]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_repository_stays_bare_and_forgetting_takes_everything_back() {
    let bed = Bed::new();
    let bare = bed.root.join("bare.git");
    bed.git(&bed.root, &["clone", "-q", "--bare", "work", "bare.git"]);
    for (repo, place) in [(&bed.work, bed.work.join(".git")), (&bare, bare.clone())] {
        let before = fs::read_to_string(place.join("config")).unwrap();
        let params = podium_protocol::WorktreeCreateParams {
            at: crate::bed::at(repo),
            name: Some("x".to_owned()),
            agent_id: Some("claude 1".to_owned()),
            ..Default::default()
        };
        let at = PathBuf::from(bed.service.create(params, &person()).await.unwrap().worktree.path);
        assert!(commits(&bed, &at, HOLDER, &[]) && !commits(&bed, &at, OTHER, &[]));
        assert_eq!(bed.git(&at, &["rev-parse", "--is-bare-repository"]).trim(), "false");
        let params = RepoForgetParams { at: crate::bed::at(repo), force: true, layout: false };
        bed.service.forget(params, &person()).await.unwrap();
        let after = fs::read_to_string(place.join("config")).unwrap();
        let settings = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
            lines.retain(|line| !line.is_empty() && line != "[extensions]");
            lines.sort();
            lines
        };
        assert_eq!(settings(&after), settings(&before));
        assert!(!place.join("podium").exists() && !place.join("worktrees/feat-x/config.worktree").exists());
        assert!(commits(&bed, &at, OTHER, &[]));
    }
}
