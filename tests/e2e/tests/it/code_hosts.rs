//! Reviews with the real `gh` against a host that speaks its API, over TLS; by the REST API; and with nobody answering.

use std::fs;
use std::time::{Duration, Instant};

use podium_harness::code_host::{CodeHost, PullRequest, stalled_host};
use podium_harness::{TestEnvironment, TestRepo, on_path};
use serde_json::{Value, json};

const REPO: &str = "ada/app";

fn request(number: u64) -> PullRequest {
    PullRequest {
        number,
        title: "Count the sheep".to_owned(),
        author: "bob".to_owned(),
        state: "open",
        head_branch: "sheep".to_owned(),
        head_repo: Some(REPO.to_owned()),
        maintainer_can_modify: false,
        comments: Vec::new(),
    }
}

/// A clone whose origin is at the host, as its address says; git itself is led to the folder of the bare repository.
fn clone<'a>(environment: &'a TestEnvironment, host: &CodeHost, scheme: &str) -> TestRepo<'a> {
    let repo = environment.repo();
    let bare = environment.root().join("app.git");
    let address = format!("{scheme}://{}/", host.host());
    let folder = environment.root().join("hosted");
    fs::create_dir_all(folder.join("ada")).unwrap();
    std::os::unix::fs::symlink(&bare, folder.join("ada/app.git")).unwrap();
    repo.git(["remote", "set-url", "origin", &format!("{address}{REPO}.git")]);
    repo.git(["config", &format!("url.{}/.insteadOf", folder.display()), &address]);
    repo
}

/// A commit that the host keeps under the reference of a request.
fn push(repo: &TestRepo<'_>, refname: &str, file: &str, text: &str) -> String {
    repo.git(["switch", "-qc", "topic"]);
    repo.write(file, text);
    repo.commit("offered");
    repo.git(["push", "-q", "--force", "origin", &format!("HEAD:{refname}")]);
    let head = repo.git(["rev-parse", "HEAD"]).trim().to_owned();
    repo.git(["switch", "-q", "main"]);
    repo.git(["branch", "-qD", "topic"]);
    head
}

struct Bed {
    environment: TestEnvironment,
    host: CodeHost,
    vars: Vec<(&'static str, String)>,
}

impl Bed {
    /// With the real `gh`, over TLS.
    fn with_gh() -> Self {
        assert!(on_path("gh"), "`cargo xtask provision` installs gh");
        let environment = TestEnvironment::new();
        let host = CodeHost::start(REPO, Some(environment.root()));
        let vars = vec![
            ("GH_HOST", host.host()),
            ("GH_ENTERPRISE_TOKEN", "secret-of-gh".to_owned()),
            ("SSL_CERT_FILE", host.authority().to_str().unwrap().to_owned()),
        ];
        Self { environment, host, vars }
    }

    /// By the REST API alone: no `gh` that would know this host.
    fn with_api() -> Self {
        let environment = TestEnvironment::new();
        let host = CodeHost::start(REPO, None);
        let api = format!("http://{}", host.host());
        fs::create_dir_all(environment.home().root()).unwrap();
        fs::write(environment.home().root().join("config.toml"), format!("[review]\napi_url = \"{api}\"\n"))
            .unwrap();
        Self { environment, host, vars: vec![("GITHUB_TOKEN", "secret-of-api".to_owned())] }
    }

    fn imi(&self, repo: &TestRepo<'_>, args: &[&str]) -> podium_harness::Invocation<'_> {
        let call = self.environment.imi(args).within(repo);
        self.vars.iter().fold(call, |call, (name, value)| call.var(name, value))
    }
}

#[test]
fn gh_tells_of_open_closed_merged_and_fork_requests_over_tls() {
    let bed = Bed::with_gh();
    let repo = clone(&bed.environment, &bed.host, "https");
    for number in [7, 8, 9, 10] {
        push(&repo, &format!("refs/pull/{number}/head"), "topic.txt", &number.to_string());
    }
    bed.host.offer(request(7));
    bed.host.offer(PullRequest { state: "closed", ..request(8) });
    bed.host.offer(PullRequest { state: "merged", ..request(9) });
    let fork = Some("bob/app".to_owned());
    bed.host.offer(PullRequest { head_repo: fork, maintainer_can_modify: true, ..request(10) });

    let open = bed.imi(&repo, &["review", "7"]).data();
    let review = &open["review"];
    assert_eq!((review["source"].as_str(), review["title"].as_str()), (Some("gh"), Some("Count the sheep")));
    assert_eq!((review["author"].as_str(), review["fork"].as_bool()), (Some("bob"), Some(false)));
    for (number, state) in [("8", "closed"), ("9", "merged")] {
        let data = bed.imi(&repo, &["review", number]).data();
        assert_eq!(data["review"]["state"], state);
        let notes = data["notes"].as_array().unwrap();
        assert!(notes.iter().any(|note| note.as_str().unwrap().contains(state)), "{data:#}");
    }
    let fork = bed.imi(&repo, &["review", "10"]).data();
    assert_eq!(
        (fork["review"]["headRepo"].as_str(), fork["review"]["fork"].as_bool()),
        (Some("bob/app"), Some(true))
    );
    assert_eq!(bed.imi(&repo, &["review", "404"]).fails(4)["kind"], "not_found");

    let asked = bed.host.asked();
    assert!(asked.iter().all(|asked| asked.path == "/api/graphql"), "{asked:#?}");
    assert!(asked.iter().all(|asked| asked.authorization == "token secret-of-gh"));
    assert!(!bed.environment.log().contains("secret-of-gh"), "a token is never logged");
}

#[test]
fn the_rest_api_tells_the_same_with_a_token() {
    let bed = Bed::with_api();
    let repo = clone(&bed.environment, &bed.host, "http");
    push(&repo, "refs/pull/7/head", "topic.txt", "7");
    push(&repo, "refs/pull/8/head", "topic.txt", "8");
    bed.host.offer(PullRequest { state: "merged", ..request(7) });
    bed.host.offer(PullRequest { head_repo: None, ..request(8) });
    let data = bed.imi(&repo, &["review", "7"]).data();
    let review = &data["review"];
    assert_eq!((review["source"].as_str(), review["state"].as_str()), (Some("api"), Some("merged")));
    let deleted = bed.imi(&repo, &["review", "8"]).data();
    assert_eq!(
        (deleted["review"]["fork"].as_bool(), &deleted["review"]["headRepo"]),
        (Some(true), &Value::Null)
    );
    assert_eq!(bed.imi(&repo, &["review", "404"]).fails(4)["kind"], "not_found");
    let asked = bed.host.asked();
    assert!(asked.iter().all(|asked| asked.authorization == "Bearer secret-of-api"), "{asked:#?}");
}

#[test]
fn a_merge_request_opens_by_gits_reference_where_the_host_has_another_api() {
    let bed = Bed::with_api();
    let repo = clone(&bed.environment, &bed.host, "http");
    let head = push(&repo, "refs/merge-requests/3/head", "topic.txt", "3");
    let data = bed.imi(&repo, &["review", "!3"]).data();
    assert_eq!(
        (data["review"]["head"].as_str(), data["review"]["source"].as_str()),
        (Some(head.as_str()), Some("git"))
    );
    assert_eq!(data["worktree"]["name"], "review-3");
}

#[test]
fn a_proxy_that_stalls_ends_in_a_word_about_it_within_the_bound() {
    let bed = Bed::with_gh();
    let repo = clone(&bed.environment, &bed.host, "https");
    push(&repo, "refs/pull/7/head", "topic.txt", "7");
    // A name: a host on this machine would be asked without the proxy.
    repo.git(["remote", "set-url", "origin", "https://code.example/ada/app.git"]);
    let folder = bed.environment.root().join("hosted");
    repo.git(["config", &format!("url.{}/.insteadOf", folder.display()), "https://code.example/"]);
    let proxy = format!("http://{}", stalled_host());
    let config = bed.environment.home().root().join("config.toml");
    fs::create_dir_all(bed.environment.home().root()).unwrap();
    fs::write(config, "[review]\ntimeout_seconds = 2\n").unwrap();
    // The commits come: git reaches its own server. Only the host's questions go by the proxy.
    let begun = Instant::now();
    let call = bed.imi(&repo, &["review", "7"]).var("GH_HOST", "code.example");
    let opened = call.var("HTTPS_PROXY", &proxy).var("https_proxy", &proxy).data();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let notes = opened["notes"].to_string();
    assert!(notes.contains("not known") && notes.contains("in time"), "{notes}");
    // Where git itself goes by it, there is nothing to open.
    let stalled = format!("http://{}/ada/app.git", stalled_host());
    repo.git(["remote", "add", "slow", &stalled]);
    let begun = Instant::now();
    let error = bed.imi(&repo, &["review", "8", "--remote", "slow"]).fails(5);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(!error["message"].as_str().unwrap().is_empty(), "{error:#}");
}

fn comment(id: u64, head: &str, lines: (u64, u64), body: &str) -> Value {
    let start = if lines.0 == lines.1 { Value::Null } else { json!(lines.0) };
    json!({
        "id": id, "user": { "login": "eve" }, "html_url": format!("https://code.example/c/{id}"),
        "path": "topic.txt", "line": lines.1, "start_line": start, "side": "RIGHT", "commit_id": head,
        "original_commit_id": head, "body": body,
    })
}

/// The suggestions of two comments, listed and applied; then pushed to the request's own branch.
fn suggestions(bed: &Bed, scheme: &str) {
    let repo = clone(&bed.environment, &bed.host, scheme);
    let head = push(&repo, "refs/pull/7/head", "topic.txt", "one\ntwo\nthree\nfour\nfive\nsix\nseven\n");
    let comments = vec![
        comment(1, &head, (2, 3), "Shorter:\n```suggestion\n2 and 3\n```"),
        comment(2, &head, (6, 6), "```suggestion\nSIX\n```\nPlease."),
        comment(3, &head, (2, 2), "```suggestion\nelse\n```"),
        comment(4, &head, (1, 1), "no suggestion at all"),
    ];
    bed.host.offer(PullRequest { comments, ..request(7) });
    let path = bed.imi(&repo, &["review", "7"]).data()["worktree"]["path"].as_str().unwrap().to_owned();
    let path = std::path::Path::new(&path);
    let listed = bed.imi(&repo, &["review", "suggestions", "7"]).data();
    let states = |data: &Value| -> Vec<String> {
        let all = data["suggestions"].as_array().unwrap().iter();
        all.map(|one| format!("{}:{}", one["comment"], one["state"].as_str().unwrap())).collect()
    };
    assert_eq!(states(&listed), ["1:open", "2:open", "3:open"]);
    assert_eq!(listed["commits"], 0);
    assert_eq!(bed.imi(&repo, &["review", "suggestions", "7", "--id", "99"]).fails(4)["kind"], "not_found");

    fs::write(path.join("mine.txt"), "x").unwrap();
    assert_eq!(bed.imi(&repo, &["review", "suggestions", "7", "--apply"]).fails(3)["kind"], "conflict");
    fs::remove_file(path.join("mine.txt")).unwrap();
    let applied = bed.imi(&repo, &["review", "suggestions", "7", "--apply"]).data();
    assert_eq!(states(&applied), ["1:applied", "2:applied", "3:outdated"]);
    assert_eq!(fs::read_to_string(path.join("topic.txt")).unwrap(), "one\n2 and 3\nfour\nfive\nSIX\nseven\n");
    let log = bed.environment.git(path, ["log", "-2", "--format=%an|%s|%b"]);
    assert!(
        log.contains("Ann|Apply suggestion to topic.txt|") && log.contains("Co-authored-by: eve <eve@"),
        "{log}"
    );
    assert_eq!(bed.environment.git(path, ["status", "--short"]), "");
    let again = bed.imi(&repo, &["review", "suggestions", "7", "--apply"]).data();
    assert_eq!((states(&again)[0].as_str(), again["commits"].as_u64()), ("1:applied", Some(0)));
    let pushed = bed.imi(&repo, &["review", "push", "7"]).data();
    assert_eq!((pushed["branch"].as_str(), pushed["commits"].as_u64()), (Some("sheep"), Some(2)));
}

/// More comments than one answer of the host holds, with suggestions at the beginning, at the seam and at the end.
fn many_comments(bed: &Bed, scheme: &str) {
    let repo = clone(&bed.environment, &bed.host, scheme);
    let lines: String = (1..=300).map(|line| format!("{line}\n")).collect();
    let head = push(&repo, "refs/pull/7/head", "topic.txt", &lines);
    let suggesting = [1, 100, 101, 250];
    let comments = (1..=250).map(|id| {
        let body = format!("```suggestion\nline {id}\n```");
        comment(id, &head, (id, id), if suggesting.contains(&id) { &body } else { "a word" })
    });
    bed.host.offer(PullRequest { comments: comments.collect(), ..request(7) });
    bed.imi(&repo, &["review", "7"]).ok();
    let listed = bed.imi(&repo, &["review", "suggestions", "7"]).data();
    let all = listed["suggestions"].as_array().unwrap().iter();
    assert_eq!(all.map(|one| one["comment"].as_u64().unwrap()).collect::<Vec<_>>(), suggesting);
    let pages = bed.host.asked().into_iter().filter(|asked| asked.path.contains("/comments")).count();
    assert_eq!(pages, 3, "each page once");
}

#[test]
fn comments_beyond_the_first_page_are_read_by_gh() {
    many_comments(&Bed::with_gh(), "https");
}

#[test]
fn comments_beyond_the_first_page_are_read_by_the_api() {
    many_comments(&Bed::with_api(), "http");
}

#[test]
fn suggestions_become_commits_by_gh() {
    let bed = Bed::with_gh();
    suggestions(&bed, "https");
    let asked = bed.host.asked();
    assert!(
        asked.iter().any(|asked| asked.path.starts_with("/api/v3/repos/ada/app/pulls/7/comments")),
        "{asked:#?}"
    );
}

#[test]
fn suggestions_become_commits_by_the_api() {
    suggestions(&Bed::with_api(), "http");
}
