//! Budgets and what was used, over the death of a daemon.

use podium_harness::TestEnvironment;
use podium_harness::messages::{Block, Messages};
use serde_json::{Value, json};

/// Each answer of the server counts 100 tokens in and 20 out.
#[test]
fn a_used_up_budget_holds_over_the_death_of_the_daemon_and_a_raised_one_lets_the_session_go_on() {
    let environment = TestEnvironment::builder().setting("budget.session_tokens = 120").build();
    let repo = environment.repo();
    let model = Messages::answering(vec![vec![Block::text("one ")], vec![Block::text("two")]]);
    let ask = |arguments: &[&str]| -> Value {
        let command = environment.jelmore(["start"]).args(arguments);
        let mut lines = command
            .var("ANTHROPIC_API_KEY", "sk-ant-test-0123456789")
            .var("ANTHROPIC_BASE_URL", model.url())
            .within(&repo)
            .lines();
        lines.read_type("end")
    };
    assert_eq!(ask(&["anthropic", "--prompt", "Count."])["status"], "completed");
    environment.kill_daemon();
    let end = ask(&["--continue", "--prompt", "More."]);
    assert_eq!(end["status"], "parked", "{end:#}");
    let reason = end["reason"].as_str().unwrap();
    assert!(reason.contains("budget.session_tokens") && reason.contains("--continue"), "{reason}");
    assert_eq!(model.asked().len(), 1, "nothing is asked without a budget");
    environment.podium(["config", "set", "budget.session_tokens", "1000"]).ok();
    let end = ask(&["--continue"]);
    assert_eq!(end["status"], "completed", "{end:#}");
    let rows = environment.jelmore(["usage"]).data()["rows"].clone();
    let day = rows[0]["day"].clone();
    let expected = json!([{
        "day": day, "provider": "anthropic", "worktree": rows[0]["worktree"], "sessions": 1,
        "inputTokens": 200, "outputTokens": 40, "costUsd": rows[0]["costUsd"],
    }]);
    assert_eq!(rows, expected);
    let cost = rows[0]["costUsd"].as_f64().unwrap();
    assert!((cost - (200.0 * 3.0 + 40.0 * 15.0) / 1e6).abs() < 1e-9, "{cost}");
    let table = environment.jelmore(["usage"]).run().success();
    assert!(table.contains("anthropic"), "{table}");
}

#[test]
fn a_limit_of_one_session_holds_and_is_raised_and_what_is_known_of_it_is_shown() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let model = Messages::answering(vec![vec![Block::text("one ")], vec![Block::text("two")]]);
    let ask = |arguments: &[&str]| -> Value {
        let command = environment.jelmore(arguments);
        let mut lines = command
            .var("ANTHROPIC_API_KEY", "sk-ant-test-0123456789")
            .var("ANTHROPIC_BASE_URL", model.url())
            .within(&repo)
            .lines();
        lines.read_type("end")
    };
    let model_of = ["--model", "claude-unheard-of"];
    let limit = ["--max-total-tokens", "100", "--max-cost", "5"];
    let end = ask(&[&["start", "anthropic", "--prompt", "Count."][..], &model_of, &limit].concat());
    assert_eq!((&end["status"], &end["usage"]["costUsd"]), (&json!("completed"), &Value::Null), "{end:#}");
    let id = end["session"].as_str().unwrap();
    let end = ask(&["sessions", "resume", id, "--prompt", "More."]);
    assert_eq!(end["status"], "parked", "{end:#}");
    assert!(end["reason"].as_str().unwrap().contains("--max-total-tokens N"), "{end:#}");
    assert_eq!(model.asked().len(), 1, "nothing is asked beyond it");
    environment.kill_daemon();
    let end = ask(&["sessions", "resume", id, "--max-total-tokens", "1000"]);
    assert_eq!(end["status"], "completed", "{end:#}");
    let shown = environment.jelmore(["sessions", "show", id]).data();
    // 100 tokens were asked and 20 answered.
    assert_eq!(shown["context"], json!({ "used": 120, "window": 200_000 }), "{shown:#}");
    assert_eq!(shown["health"], Value::Null, "it runs no more");
    let text = environment.jelmore(["sessions", "show", id]).run().success();
    assert!(text.contains("cost unknown, context 120 of 200000 (0%)"), "{text}");
}
