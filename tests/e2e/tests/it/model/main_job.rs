//! `podium try`: the main job on a repository.

use std::time::Duration;

use podium_harness::{TestEnvironment, process};

use super::transcript::Transcript;

#[test]
fn podium_try_does_the_main_job_and_cleans_up() {
    let environment = TestEnvironment::with_model();
    let repo = environment.repo_builder().without_origin().build();
    repo.write("README.md", "# Lighthouse\n\nA program that turns a lamp, slowly.\n");
    repo.commit("readme");
    let before = repo.git(["for-each-ref"]);
    let done = environment.podium(["try"]).within(&repo).timeout(Duration::from_secs(240)).data();
    let steps = done["steps"].as_array().unwrap();
    assert!(steps.len() >= 9 && steps.iter().all(|step| step["ok"] == true), "{steps:#?}");
    let session = &done["session"];
    assert_eq!((&session["gaps"], &session["repeats"]), (&0.into(), &0.into()), "{session:#}");
    let shown = Transcript::of(&session["shown"]);
    assert_eq!(shown.gaps_and_repeats(), (vec![], vec![]));
    assert_eq!(shown.text(), Transcript::of(&session["items"]).text());
    assert!(
        session["killedAtSeq"].as_u64().is_some_and(|seq| seq < shown.last_seq()),
        "killed in mid-answer"
    );
    assert_eq!(done["artifact"]["found"], true);
    let pids: Vec<u32> = done["daemonPids"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|p| u32::try_from(p.as_u64()?).ok())
        .collect();
    assert!(pids.len() >= 2, "{pids:?}");
    assert!(pids.iter().all(|pid| !process::is_alive(*pid)), "it ends what it started");
    assert_eq!(repo.git(["for-each-ref"]), before, "the repository itself is not touched");
    assert_eq!(repo.git(["worktree", "list"]).lines().count(), 1);
    assert!(repo.git(["status", "--porcelain"]).is_empty());
}
