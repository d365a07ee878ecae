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
