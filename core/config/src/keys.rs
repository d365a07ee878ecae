//! The settings: one row each.

use serde_json::{Value, json};

use crate::key::{Field, FieldKind, Key, KeyKind};
use crate::prices;

const fn number(
    name: &'static str,
    min: i64,
    max: i64,
    default: fn() -> Value,
    project: bool,
    help: &'static str,
) -> Key {
    Key { name, kind: KeyKind::Integer { min, max }, default, help, project }
}

const fn text(name: &'static str, default: fn() -> Value, project: bool, help: &'static str) -> Key {
    Key { name, kind: KeyKind::Text, default, help, project }
}

const fn silence(name: &'static str, default: fn() -> Value, help: &'static str) -> Key {
    number(name, 0, 86_400, default, false, help)
}

const fn list(name: &'static str, help: &'static str) -> Key {
    Key { name, kind: KeyKind::List, default: || json!([]), help, project: true }
}

/// Every setting.
pub static KEYS: &[Key] = &[
    number(
        "daemon.idle_exit_seconds",
        0,
        604_800,
        || json!(3600),
        false,
        "seconds without client, session or claim after which the daemon ends; 0: never",
    ),
    number(
        "daemon.requests_per_second",
        10,
        10_000_000,
        || json!(1_000_000),
        false,
        "requests a second that one person's connection may send",
    ),
    number(
        "daemon.agent_requests_per_second",
        1,
        1_000_000,
        || json!(200),
        false,
        "requests a second that one agent's connection may send",
    ),
    number(
        "observe.max_folders",
        1,
        10_000_000,
        || json!(400_000),
        false,
        "folders of worktrees that are watched for changes; beyond, trees are polled. Read when the daemon starts",
    ),
    number(
        "claims.heartbeat_seconds",
        5,
        86_400,
        || json!(900),
        true,
        "seconds without a sign of life after which the owner of an unbound claim counts as unknown",
    ),
    number(
        "worktrees.fetch_timeout_ms",
        0,
        600_000,
        || json!(3_000),
        true,
        "longest time that creating a worktree waits for a fetch of trunk, in milliseconds; 0: never fetch",
    ),
    number(
        "worktrees.git_timeout_seconds",
        5,
        86_400,
        || json!(600),
        true,
        "longest time of one git command, in seconds",
    ),
    number(
        "worktrees.clone_timeout_seconds",
        10,
        604_800,
        || json!(14_400),
        false,
        "longest time of a clone by `imi init`, in seconds",
    ),
    number(
        "worktrees.fetch_fresh_seconds",
        0,
        86_400,
        || json!(60),
        true,
        "age of the last fetch up to which creating a worktree does not wait for another one, in seconds",
    ),
    number(
        "worktrees.spares",
        0,
        16,
        || json!(2),
        true,
        "worktrees kept ready in the background, so that making one takes no checkout; 0: none",
    ),
    number(
        "worktrees.spares_min_files",
        0,
        10_000_000,
        || json!(500),
        true,
        "tracked files below which a repository has no spares",
    ),
    number(
        "worktrees.spares_max_mb",
        0,
        100_000_000,
        || json!(4_096),
        false,
        "disk that the spares of one repository may take, in MiB",
    ),
    number(
        "worktrees.spares_min_free_mb",
        0,
        100_000_000,
        || json!(2_048),
        false,
        "free disk that spares leave, in MiB",
    ),
    list(
        "worktree.copy",
        "ignored files and folders of the main worktree that each new worktree gets a copy of (node_modules, target)",
    ),
    number("worktree.ports", 0, 100, || json!(0), true, "ports that each worktree gets of its own; 0: none"),
    text("worktree.port_range", || json!("20000-29999"), true, "ports to choose from, FIRST-LAST"),
    text(
        "worktree.database",
        || json!(""),
        true,
        "name of a database of each worktree's own, with {name} for the worktree's; empty: none",
    ),
    text(
        "hooks.pre-create",
        || json!(""),
        true,
        "command run before a worktree is made, in the main worktree",
    ),
    text("hooks.post-create", || json!(""), true, "command run in each worktree after it was made"),
    text("hooks.pre-remove", || json!(""), true, "command run in a worktree before it is removed"),
    text("hooks.post-switch", || json!(""), true, "command run in a worktree after `imi go` found it"),
    number("hooks.timeout_seconds", 1, 86_400, || json!(300), true, "longest time of one hook, in seconds"),
    number(
        "worktrees.undo_days",
        1,
        365,
        || json!(30),
        false,
        "days that a removed worktree can be brought back",
    ),
    Key {
        name: "worktrees.branch_style",
        kind: KeyKind::Choice(&["dash", "slash"]),
        default: || json!("dash"),
        help: "branch of worktree feat-x: feat-x (dash) or feat/x (slash)",
        project: true,
    },
    text("worktrees.trunk", || json!(""), true, "trunk branch; empty: origin's HEAD, else main, else master"),
    number(
        "worktrees.trash_quota_mb",
        0,
        100_000_000,
        || json!(20_000),
        false,
        "megabytes of removed worktrees to keep for each repository: the oldest go first; 0: no bound",
    ),
    number(
        "worktrees.disk_warn_mb",
        0,
        100_000_000,
        || json!(50_000),
        false,
        "megabytes that a repository with all its worktrees may take before `imi du` warns; 0: never",
    ),
    number(
        "review.timeout_seconds",
        1,
        600,
        || json!(30),
        false,
        "longest wait for a code host or its git server when a review is opened, in seconds",
    ),
    text(
        "review.api_url",
        || json!(""),
        false,
        "address of a code host's API for reviews; empty: follows from the remote",
    ),
    Key {
        name: "guard.enabled",
        kind: KeyKind::Bool,
        default: || json!(true),
        help: "refuse commits in a claimed worktree by who does not hold the claim (core.hooksPath)",
        project: false,
    },
    Key {
        name: "sync.on_replace",
        kind: KeyKind::Choice(&["repair", "adopt", "ask"]),
        default: || json!("ask"),
        help: "when a file replaces a synchronised link: back it up and link again (repair), share its content \
               (adopt), or tell and leave it until `imi sync` (ask)",
        project: false,
    },
    text(
        "sessions.provider",
        || json!(""),
        true,
        "provider of sessions that name none; empty: the first usable",
    ),
    number(
        "sessions.max_tokens",
        1,
        100_000,
        || json!(512),
        false,
        "longest answer of the local model, in tokens",
    ),
    Key {
        name: "permission",
        kind: KeyKind::Tables(&[
            Field { name: "tool", required: true, kind: FieldKind::Text },
            Field { name: "command", required: false, kind: FieldKind::Text },
            Field { name: "path", required: false, kind: FieldKind::Text },
            Field { name: "decision", required: true, kind: FieldKind::Word(&["allow", "ask", "deny"]) },
        ]),
        default: || json!([]),
        help: "what agents' tools may do: tool (`*` for any), command (`cargo *`), path (`src/**`), decision (allow, \
               ask, deny); deny wins, else the first that fits",
        project: false,
    },
    number(
        "sessions.permission_timeout_seconds",
        0,
        604_800,
        || json!(3_600),
        false,
        "seconds that a session waits for a person to allow something; 0: for ever",
    ),
    Key {
        name: "sessions.permission_timeout",
        kind: KeyKind::Choice(&["deny", "allow"]),
        default: || json!("deny"),
        help: "what becomes of a question that nobody answers in time",
        project: false,
    },
    Key {
        name: "sessions.agents",
        kind: KeyKind::List,
        default: || json!([]),
        help: "programs that are agents, each \"NAME text|json|acp COMMAND\"; {prompt} in an argument is the prompt, \
               else it is written to the standard input. They are confined to their worktree; words behind the format \
               give more: \"claude json,network,write=~/.claude claude -p\" (network or no-network in place of \
               sandbox.network, read=PATH, write=PATH, unsandboxed)",
        project: false,
    },
    number(
        "sessions.run_grace_seconds",
        0,
        604_800,
        || json!(120),
        false,
        "seconds that a task which a crash cut off waits for its client, until its work is committed and its worktree \
         given back",
    ),
    number(
        "tasks.attempts",
        1,
        100,
        || json!(3),
        false,
        "attempts that a task of a queue has, until it becomes a dead letter",
    ),
    number(
        "tasks.retry_seconds",
        0,
        600,
        || json!(10),
        false,
        "seconds before the second attempt at a task of a queue; doubled before each further one, up to 600",
    ),
    number(
        "sessions.checkpoint_items",
        4,
        10_000,
        || json!(48),
        false,
        "items of an answer between two checkpoints, of which there are at most four a second",
    ),
    number(
        "sessions.snapshot_days",
        1,
        3_650,
        || json!(30),
        false,
        "days without use after which the checkpoints of a session let go of files; the transcript stays",
    ),
    number(
        "sessions.stall_seconds",
        1,
        3_600,
        || json!(120),
        false,
        "seconds of silence after which a provider's stream counts as cut",
    ),
    silence(
        "anthropic.silent_seconds",
        || json!(60),
        "seconds without a sign of life after which a turn of provider anthropic counts as silent; after as long again \
         its stream is cut and goes on behind what was said. 0: never",
    ),
    silence(
        "openai.silent_seconds",
        || json!(60),
        "seconds without a sign of life after which a turn of provider openai counts as silent; after as long again its \
         stream is cut and goes on behind what was said. 0: never",
    ),
    silence(
        "acp.silent_seconds",
        || json!(300),
        "seconds without a word, while no tool runs, after which an agent of provider acp counts as silent; after as \
         long again it is ended and begun anew. 0: never",
    ),
    silence(
        "command.silent_seconds",
        || json!(900),
        "seconds without a word, while no tool runs, after which an agent of provider command counts as silent; after \
         as long again it is ended and begun anew. 0: never",
    ),
    silence(
        "local.silent_seconds",
        || json!(60),
        "seconds without a sign of life after which a turn of the local model counts as silent; after as long again it \
         is parked. 0: never",
    ),
    Key {
        name: "prices",
        kind: KeyKind::Tables(&[
            Field { name: "model", required: true, kind: FieldKind::Text },
            Field { name: "input", required: true, kind: FieldKind::Amount },
            Field { name: "output", required: true, kind: FieldKind::Amount },
            Field { name: "cached", required: false, kind: FieldKind::Amount },
            Field { name: "cache_write", required: false, kind: FieldKind::Amount },
        ]),
        default: prices::shipped,
        help: "what models cost, in US dollars for a million tokens: model (`gpt-5*`), input, output, cached (read from \
               the cache; default: input), cache_write (default: input). The first that fits counts, before those \
               that are shipped",
        project: false,
    },
    Key {
        name: "budget.unknown_price",
        kind: KeyKind::Choice(&["dearest", "free", "refuse"]),
        default: || json!("dearest"),
        help: "what a model without a known price counts for budgets in money: as the dearest that is known, as \
               nothing, or its turns wait for a person. What it cost is shown as unknown in each case",
        project: false,
    },
    number("budget.warn_percent", 1, 100, || json!(80), false, "share of a budget from which on it is told"),
    number(
        "budget.session_tokens",
        0,
        1_000_000_000_000,
        || json!(0),
        false,
        "most tokens of one session, asked and answered; 0: no bound",
    ),
    number(
        "budget.session_cents",
        0,
        1_000_000_000_000,
        || json!(0),
        false,
        "most US cents that one session may cost; 0: no bound",
    ),
    number(
        "budget.worktree_tokens",
        0,
        1_000_000_000_000,
        || json!(0),
        false,
        "most tokens of all sessions in one worktree, asked and answered; 0: no bound",
    ),
    number(
        "budget.worktree_cents",
        0,
        1_000_000_000_000,
        || json!(0),
        false,
        "most US cents that all sessions in one worktree may cost; 0: no bound",
    ),
    number(
        "budget.day_tokens",
        0,
        1_000_000_000_000,
        || json!(0),
        false,
        "most tokens of all sessions of a day (UTC), asked and answered; 0: no bound",
    ),
    number(
        "budget.day_cents",
        0,
        1_000_000_000_000,
        || json!(0),
        false,
        "most US cents that all sessions of a day (UTC) may cost; 0: no bound",
    ),
    text("anthropic.model", || json!("claude-sonnet-4-5"), false, "model of provider anthropic"),
    text(
        "anthropic.base_url",
        || json!(""),
        false,
        "where the Messages API is; empty: Anthropic's own (ANTHROPIC_BASE_URL goes before)",
    ),
    number(
        "anthropic.context_tokens",
        0,
        10_000_000,
        || json!(0),
        false,
        "tokens that the model takes, question and answer together; 0: what is known of it",
    ),
    number("anthropic.max_tokens", 1, 200_000, || json!(16_000), false, "longest answer, in tokens"),
    number(
        "anthropic.thinking_tokens",
        0,
        100_000,
        || json!(0),
        false,
        "tokens that the model may think before it answers; 0: it does not think aloud, else at least 1,024",
    ),
    text("openai.model", || json!(""), false, "model of provider openai; empty: the first its server has"),
    text(
        "openai.base_url",
        || json!(""),
        false,
        "where a server with OpenAI's interface is, such as http://localhost:11434/v1; empty: OpenAI's own \
         (OPENAI_BASE_URL goes before)",
    ),
    number(
        "openai.context_tokens",
        0,
        10_000_000,
        || json!(0),
        false,
        "tokens that the model takes, question and answer together; 0: what is known of it, else until it refuses",
    ),
    number("openai.max_tokens", 1, 200_000, || json!(16_000), false, "longest answer, in tokens"),
    number(
        "sessions.max_steps",
        1,
        10_000,
        || json!(200),
        false,
        "questions to a model within one turn, each with the results of the tools it called",
    ),
    number(
        "models.idle_unload_seconds",
        0,
        86_400,
        || json!(300),
        false,
        "seconds after its last use until a local model leaves the memory; 0: at once",
    ),
    Key {
        name: "sandbox.mechanism",
        kind: KeyKind::Choice(&["auto", "bubblewrap", "landlock", "none"]),
        default: || json!("auto"),
        help: "what confines agents and their commands; auto: the best that works here; none: nothing, and each agent \
               has to be allowed to work so",
        project: false,
    },
    Key {
        name: "sandbox.read",
        kind: KeyKind::List,
        default: || {
            json!([
                "~/.cargo/bin",
                "~/.rustup",
                "~/.pyenv",
                "~/.nvm",
                "~/.volta",
                "~/.asdf",
                "~/.sdkman",
                "~/.local/bin",
                "~/.local/share/mise",
                "~/go/bin"
            ])
        },
        help: "files and folders of the home or elsewhere that agents may read (toolchains); missing ones are passed over",
        project: false,
    },
    Key {
        name: "sandbox.network",
        kind: KeyKind::Bool,
        default: || json!(false),
        help: "whether agents and their commands reach the network",
        project: false,
    },
    number(
        "sandbox.memory_mb",
        0,
        100_000_000,
        || json!(0),
        false,
        "address space of each process of an agent, in MiB; 0: no bound",
    ),
    number(
        "sandbox.file_mb",
        1,
        100_000_000,
        || json!(16_384),
        false,
        "largest file that an agent's process can write, in MiB",
    ),
    number("events.keep_days", 1, 3_650, || json!(90), false, "days that the event log reaches back"),
    Key {
        name: "log.level",
        kind: KeyKind::Choice(&["error", "warn", "info", "debug", "trace"]),
        default: || json!("info"),
        help: "how much the daemon's log tells",
        project: false,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_passes_its_own_check() {
        for key in KEYS {
            assert_eq!(key.check(&(key.default)()), Ok(()), "{}", key.name);
        }
    }

    #[test]
    fn a_table_with_a_fault_is_told_by_number_and_field() {
        let key = KEYS.iter().find(|k| k.name == "permission").unwrap();
        let check =
            |table: Value| key.check(&json!([{ "tool": "*", "decision": "ask" }, table])).unwrap_err();
        assert_eq!(check(json!({ "tool": "x" })), "(number 2) needs `decision`");
        assert_eq!(
            check(json!({ "tool": "x", "decision": "maybe" })),
            "(number 2) `decision` must be one of allow, ask, deny"
        );
        assert_eq!(
            check(json!({ "tool": "x", "decision": "ask", "file": "y" })),
            "(number 2) has no `file`; known: tool, command, path, decision"
        );
        assert_eq!(check(json!({ "tool": 1, "decision": "ask" })), "(number 2) `tool` must be a text");
        assert_eq!(check(json!("x")), "(number 2) must be a table");
        assert!(key.parse(r#"[{"tool":"run_command","command":"cargo *","decision":"allow"}]"#).is_ok());
        assert!(key.parse("cargo").is_err());
    }

    #[test]
    fn an_amount_is_a_number_and_not_below_zero() {
        let key = KEYS.iter().find(|k| k.name == "prices").unwrap();
        let check = |input: Value| key.check(&json!([{ "model": "m", "input": input, "output": 1 }]));
        assert_eq!((check(json!(0)), check(json!(2.5))), (Ok(()), Ok(())));
        let problem = "(number 1) `input` must be a number that is not below 0";
        assert_eq!((check(json!(-1)), check(json!("1"))), (Err(problem.into()), Err(problem.into())));
    }

    #[test]
    fn a_variable_is_read_as_the_type_of_its_key() {
        let key = KEYS.iter().find(|k| k.name == "claims.heartbeat_seconds").unwrap();
        assert_eq!(key.variable(), "PODIUM_CLAIMS_HEARTBEAT_SECONDS");
        assert_eq!(key.parse("60"), Ok(json!(60)));
        assert_eq!(key.parse("soon"), Err("must be a whole number from 5 to 86400".to_owned()));
    }
}
