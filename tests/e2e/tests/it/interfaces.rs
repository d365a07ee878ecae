//! What scripts rely on: envelopes, fields and exit codes.

use podium_harness::TestEnvironment;
use serde_json::Value;

fn has(value: &Value, fields: &[&str]) {
    for field in fields {
        assert!(value.get(field).is_some(), "`{field}` is missing in {value:#}");
    }
}

#[test]
fn podium_answers_with_the_fields_that_are_promised() {
    let environment = TestEnvironment::new();
    let status = environment.podium(["status"]).data();
    has(&status, &["pid", "version", "protocol", "uptimeMs", "socket", "rssBytes"]);
    has(
        &environment.podium(["daemon", "status"]).data(),
        &["pid", "version", "protocol", "uptimeMs", "socket"],
    );

    let doctor = environment.podium(["doctor"]).data();
    for part in doctor["parts"].as_array().unwrap() {
        has(part, &["name", "state", "message", "hint"]);
        assert!(matches!(part["state"].as_str(), Some("ok" | "degraded" | "broken" | "off")), "{part:#}");
        assert!(part["state"] == "ok" || part["state"] == "off" || part["hint"] != "", "{part:#}");
    }
    let models = environment.podium(["models", "list"]).data();
    has(&models["models"][0], &["name", "state", "path", "bytes", "sha256", "licence"]);
    assert_eq!(environment.podium(["artifacts", "search", "x"]).data()["hits"], Value::Array(vec![]));
    has(&environment.podium(["artifacts", "list"]).data(), &["artifacts"]);
    let config = environment.podium(["config", "get"]).data();
    has(&config["values"][0], &["key", "value", "source", "help"]);
}

#[test]
fn imi_answers_with_the_fields_that_are_promised() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let imi = |words: &[&str]| environment.imi(words).within(&repo).data();

    let made = imi(&["feat", "user-auth"]);
    has(&made, &["worktree", "elapsedMs", "fromSpare"]);
    let worktree = &made["worktree"];
    has(
        worktree,
        &[
            "id",
            "repo",
            "name",
            "path",
            "branch",
            "type",
            "trunk",
            "pr",
            "claim",
            "status",
            "lastCommit",
            "conflictsWith",
            "state",
        ],
    );
    assert_eq!(worktree["name"], "feat-user-auth");
    assert_eq!(worktree["branch"], "feat-user-auth");
    assert_eq!(
        (&worktree["type"], &worktree["trunk"], &worktree["claim"]),
        (&"feat".into(), &false.into(), &Value::Null)
    );
    has(&worktree["status"], &["staged", "modified", "untracked", "conflicted", "ahead", "behind"]);
    has(&worktree["lastCommit"], &["id", "summary", "time"]);
    has(&worktree["repo"], &["id", "root"]);
    assert_eq!(
        imi(&["feat", "user-auth"])["worktree"]["id"],
        worktree["id"],
        "asking again enters the same one"
    );
    for kind in ["fix", "aiops", "devops"] {
        assert_eq!(imi(&[kind, "x"])["worktree"]["name"], format!("{kind}-x"));
    }
    assert_eq!(imi(&["list"])["worktrees"].as_array().map(Vec::len), Some(5));
    assert_eq!(imi(&["go", "auth"])["worktree"]["name"], "feat-user-auth");

    let claimed = imi(&["claim", "feat-user-auth", "--agent-id", "a"]);
    has(&claimed, &["worktree", "agentId", "token", "since"]);
    let status = imi(&["status", "feat-user-auth"]);
    has(&status["worktree"]["claim"], &["agentId", "host", "pid", "since", "token", "alive"]);
    assert_eq!(status["worktree"]["claim"]["pid"], Value::Null);
    let error = environment.imi(["claim", "feat-user-auth", "--agent-id", "b"]).within(&repo).fails(3);
    assert_eq!(error["kind"], "conflict");
    has(&error["owner"], &["agentId", "host", "pid", "since", "alive"]);
    has(&imi(&["release", "feat-user-auth", "--agent-id", "a"]), &["worktree", "agentId", "token"]);
    let removed = imi(&["remove", "feat-user-auth"]);
    has(&removed, &["undo"]);
    assert_eq!(imi(&["undo"])["worktree"]["name"], "feat-user-auth");
}

#[test]
fn jelmore_answers_with_the_fields_that_are_promised() {
    let environment = TestEnvironment::new();
    let providers = environment.jelmore(["providers"]).data();
    has(&providers["providers"][0], &["name", "usable", "why", "models"]);
    has(&environment.jelmore(["sessions", "list"]).data(), &["sessions"]);
    let asked = environment.jelmore(["inbox", "ask", "May I?", "--agent-id", "a"]).data();
    let id = asked["item"]["id"].as_str().unwrap().to_owned();
    let open = environment.jelmore(["inbox"]).data();
    assert_eq!(open["items"][0]["question"], "May I?");
    let answered = environment.jelmore(["inbox", "answer", &id, "allow"]).data();
    assert_eq!(answered["item"]["decision"], "allow");
    environment.jelmore(["inbox", "answer", &id, "deny"]).fails(3);
}

#[test]
fn json_goes_anywhere_before_two_dashes_and_podium_holds_the_others() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let said: Vec<String> = [
        &["podium", "imi", "list", "--json"][..],
        &["podium", "--json", "imi", "list"],
        &["imi", "list", "--json"],
        &["imi", "--json", "list", "--repo", repo.path().to_str().unwrap()],
    ]
    .into_iter()
    .map(|words| environment.program(words[0]).args(&words[1..]).within(&repo).run().success())
    .collect();
    for text in &said {
        let envelope: Value = serde_json::from_str(text).unwrap();
        assert_eq!(envelope["success"], true);
        assert_eq!(text.lines().count(), 1, "one object: {text}");
    }
    let named = environment.imi(["feat", "--", "--json"]).within(&repo).run();
    assert!(named.code != Some(0) && !named.stderr.is_empty(), "a name, not the option: {named:#?}");
}

#[test]
fn usage_errors_exit_with_2_in_the_form_that_was_asked_for() {
    let environment = TestEnvironment::new();
    let wrong: [(&str, &[&str]); 7] = [
        ("podium", &["no-such-command"]),
        ("podium", &[]),
        ("imi", &["claim"]),
        ("imi", &["claim", "x", "--pid", "many"]),
        ("imi", &["claim", "x", "--wait", "99999999"]),
        ("jelmore", &["start", "--temperature", "9"]),
        ("jelmore", &["start", "--prompt", "  "]),
    ];
    for (program, words) in wrong {
        let invocation = environment.program(program).args(words);
        let (code, error) = invocation.envelope();
        assert_eq!((code, &error["success"]), (2, &Value::Bool(false)), "{program} {words:?}: {error:#}");
        assert_eq!(error["error"]["kind"], "user", "{program} {words:?}: {error:#}");
        let text = invocation.run();
        assert_eq!(text.code, Some(2), "{program} {words:?}: {text:#?}");
        assert!(text.stdout.is_empty() && !text.stderr.is_empty(), "{program} {words:?}: {text:#?}");
    }
    assert!(environment.daemons().is_empty(), "a usage error starts no daemon");
}

#[test]
fn help_and_version_need_no_daemon() {
    let environment = TestEnvironment::new();
    for program in ["podium", "imi", "jelmore", "bb"] {
        for option in ["--help", "--version", "-h"] {
            let said = environment.program(program).arg(option).run().success();
            assert!(said.contains(program), "{program} {option}: {said}");
        }
    }
    assert!(environment.daemons().is_empty());
}

#[test]
fn without_a_terminal_there_are_no_colours_and_no_progress() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    for words in [&["feat", "x"][..], &["list"], &["status", "feat-x"], &["claim", "feat-none"]] {
        let said = environment.imi(words).within(&repo).run();
        assert!(
            !said.stdout.contains('\u{1b}') && !said.stderr.contains('\u{1b}'),
            "imi {words:?}: {said:#?}"
        );
        assert!(!said.stderr.contains('\r'), "imi {words:?}: {said:#?}");
    }
}

#[test]
fn the_event_log_tells_what_happened_in_order() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let imi = |words: &[&str]| environment.imi(words).within(&repo).ok();
    imi(&["feat", "x"]);
    imi(&["claim", "feat-x", "--agent-id", "a"]);
    imi(&["release", "feat-x", "--agent-id", "a"]);
    imi(&["remove", "feat-x"]);
    let mut tail = environment.podium(["events", "tail", "--from-seq", "0", "--until-now"]).lines();
    assert_eq!(tail.finish(), Some(0), "{:#?}", tail.seen());
    let events: Vec<&Value> =
        tail.seen().iter().filter(|l| l["type"] == "event").map(|l| &l["event"]).collect();
    let kinds: Vec<&str> = events.iter().filter_map(|e| e["type"].as_str()).collect();
    let mut rest = kinds.iter();
    for expected in ["worktree.created", "worktree.claimed", "worktree.released", "worktree.removed"] {
        assert!(rest.any(|kind| *kind == expected), "{expected} in {kinds:?}");
    }
    for event in &events {
        has(event, &["specversion", "id", "source", "type", "time", "seq", "data", "dataVersion"]);
    }
    let seqs: Vec<u64> = events.iter().filter_map(|e| e["seq"].as_u64()).collect();
    assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]), "{seqs:?}");
}

#[test]
fn values_that_can_never_be_right_are_usage_and_what_depends_on_the_state_is_not() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    environment.imi(["feat", "x"]).within(&repo).ok();
    let long = "x".repeat(300);
    let table: &[(i32, &str, &[&str])] = &[
        (2, "imi", &["feat", "a..b"]),
        (2, "imi", &["feat", "../x"]),
        (2, "imi", &["feat", "x.lock"]),
        (2, "imi", &["feat", ""]),
        (2, "imi", &["feat", &long]),
        (2, "imi", &["list", "--repo", ""]),
        (2, "imi", &["claim", "feat-x", "--agent-id", " "]),
        (2, "imi", &["claim", "feat-x", "--agent-id", "a", "--pid", "many"]),
        (2, "imi", &["release", "feat-x", "--token", "none"]),
        (2, "imi", &["types", "add", "Not A Word"]),
        (2, "imi", &["nosuchtype", "x"]),
        (2, "jelmore", &["start", "--prompt", " "]),
        (2, "jelmore", &["start"]),
        (2, "jelmore", &["start", "local", "--prompt", "x", "--session-id", "../x"]),
        (2, "jelmore", &["start", "--continue", "--max-tokens", "5"]),
        (2, "jelmore", &["sessions", "list", "--limit", "0"]),
        (2, "jelmore", &["sessions", "list", "--status", "odd"]),
        (2, "jelmore", &["inbox", "ask", " "]),
        (2, "jelmore", &["listen", "--workers", "0"]),
        (2, "bb", &["publish", "deploy"]),
        (2, "bb", &["publish", "deploy.finished", "--data", "[1]"]),
        (2, "bb", &["publish", "task.assigned", "--data", "{\"id\":\"t\"}"]),
        (2, "bb", &["replay", "--from-seq", "2", "--to-seq", "1"]),
        (1, "bb", &["publish", "worktree.created"]),
        (2, "podium", &["config", "set", "claims.heartbeat_seconds", "soon"]),
        (2, "podium", &["events", "tail", "--from-seq", "first"]),
        (3, "imi", &["remove", "trunk-main", "--force"]),
        (4, "imi", &["status", "feat-none"]),
        (4, "imi", &["list", "--repo", "/no/such/folder"]),
        (4, "podium", &["artifacts", "list", "--repo", "/no/such/folder"]),
        (4, "podium", &["config", "get", "no.such"]),
        (4, "jelmore", &["sessions", "show", "00000000-0000-7000-8000-000000000000"]),
        (4, "bb", &["show", "999999"]),
        (4, "bb", &["types", "no.such"]),
        (4, "bb", &["dlq", "retry", "no-such"]),
        (4, "jelmore", &["start", "nosuch", "--prompt", "x"]),
    ];
    let wrong: Vec<String> = table
        .iter()
        .filter_map(|(expected, program, words)| {
            let run = environment.program(program).args(*words).arg("--json").within(&repo).run();
            (run.code != Some(*expected)).then(|| {
                format!("{program} {words:.40?}: {expected} expected, {:?}: {}", run.code, run.stdout)
            })
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
