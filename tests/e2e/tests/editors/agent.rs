//! The agent of the editor tests: a stand-in for a paid API, whose answers change a file in two places, ask to run a
//! command, and try to run something in the editor's own page.

use std::sync::LazyLock;

use podium_harness::messages::{Block, Messages};
use serde_json::json;

/// Lines far enough apart for two hunks.
pub(crate) static POEM: LazyLock<String> =
    LazyLock::new(|| (1..=20).map(|line| format!("{line}\n")).collect());

/// It may change files; for commands it has to ask.
pub(crate) const RULES: &str = r#"[{ "tool": "edit_file", "decision": "allow" }]"#;

pub(crate) fn model(file: &str) -> Messages {
    let edits = json!([
        { "old": "1\n2\n3\n", "new": "1\nzwei\n3\n" },
        { "old": "18\n19\n20\n", "new": "18\nneunzehn\n20\n" },
    ]);
    Messages::answering(vec![
        vec![
            Block::text(
                "I change **two** lines.\n\n<script>owned = true</script><img src=x onerror=owned=true>\n",
            ),
            Block::tool("t1", "edit_file", json!({ "path": file, "edits": edits })),
        ],
        vec![Block::tool("t2", "run_command", json!({ "command": "true" }))],
        vec![Block::text("Done.")],
        vec![Block::text("You are welcome.")],
    ])
}

/// What the editor's environment needs, so that sessions go to the stand-in.
pub(crate) fn variables(model: &Messages) -> impl Iterator<Item = (&'static str, String)> {
    let key = ("ANTHROPIC_API_KEY", "sk-ant-test-0123456789".to_owned());
    [key, ("ANTHROPIC_BASE_URL", model.url().to_owned())].into_iter()
}
