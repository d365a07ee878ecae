//! The table of what is built in.

use serde_json::{Value, json};

use super::{Form, InputPort, Join, OutputPort, Param, Signature};
use crate::template::Quoting::{Plain, Shell, Url};
use crate::{NodeKind, PortType};

use Form::{
    Any, Choice, Condition, Flag, InnerParams, Integer, Number, Table, Template, Templates, Text, Uses,
};
use NodeKind::{Control, Instrument, Operator};

const MOST: i64 = i64::MAX;

pub(super) fn signatures() -> Vec<Signature> {
    let mut all = instruments();
    all.extend(basic_operators());
    all.extend(git_operators());
    all.extend(file_operators());
    all.extend(outside_operators());
    all.extend(controls());
    all
}

fn instruments() -> Vec<Signature> {
    let providers: [(&str, &[&str], &str); 5] = [
        ("local", &[], "Asks the local model; works offline and without a key."),
        ("anthropic", &["claude"], "Asks a model of Anthropic through its Messages API."),
        ("openai", &[], "Asks a model behind an interface like OpenAI's."),
        (
            "acp:*",
            &[],
            "Has an agent work that speaks the Agent Client Protocol; its name follows the colon.",
        ),
        ("command:*", &[], "Has a program work that reads a prompt; its name follows the colon."),
    ];
    let ask = |(uses, aliases, summary)| {
        Signature { aliases, ..signature(uses, &[Instrument], summary) }
            .open()
            .writes()
            .takes("prompt", PortType::Text, true, "What is asked.")
            .gives("text", PortType::Text, "The answer.")
            .gives("session", PortType::Text, "Id of the session.")
            .gives("usage", PortType::json("object"), "Tokens and cost.")
            .setting("prompt", Template(Plain), true, None, "What is asked.")
            .setting("system", Template(Plain), false, None, "What the model is told about its task.")
            .setting("model", Text, false, None, "The model, as the provider names it.")
            .setting("max_tokens", Integer(1, 1_000_000), false, None, "The longest answer, in tokens.")
            .setting(
                "temperature",
                Number(0.0, 2.0),
                false,
                None,
                "0 takes the likeliest word; more varies more.",
            )
            .setting(
                "seed",
                Integer(0, MOST),
                false,
                None,
                "Equal seeds give equal answers, where that is possible.",
            )
            .setting("worktree", Template(Plain), false, None, "The worktree to work in; else the run's.")
    };
    let embed = signature("embed", &[Instrument], "Turns a text into a vector, by the embedding model.")
        .pure()
        .takes("text", PortType::Text, true, "The text.")
        .gives(
            "vector",
            PortType::json("array"),
            "Numbers that lie near each other for texts that mean the same.",
        )
        .setting("text", Template(Plain), false, None, "The text, where no edge brings it.")
        .setting("model", Text, false, None, "The embedding model.");
    providers.into_iter().map(ask).chain([embed]).collect()
}

fn basic_operators() -> Vec<Signature> {
    vec![
        signature("noop", &[Operator], "Gives what it gets and does nothing.")
            .pure()
            .takes("in", PortType::Any, false, "Anything.")
            .gives("out", PortType::Any, "The same."),
        signature("shell", &[Operator], "Runs a command in the worktree of the run.")
            .open()
            .writes()
            .gives("stdout", PortType::Text, "What it wrote.")
            .gives("stderr", PortType::Text, "What it complained about.")
            .gives("status", PortType::json("integer"), "How it ended.")
            .setting("command", Template(Shell), true, None, "For `sh -c`; values go in as one word each.")
            .setting(
                "allow_failure",
                Flag,
                false,
                Some(json!(false)),
                "Whether another status than 0 is fine.",
            )
            .setting("env", Table, false, None, "Further variables."),
        signature("template", &[Operator], "Fills a text with values.")
            .open()
            .pure()
            .gives("text", PortType::Text, "The filled text.")
            .setting("text", Template(Plain), true, None, "The text with its {{names}}."),
        signature("json.query", &[Operator], "Takes a part of a JSON value.")
            .pure()
            .takes("in", PortType::Any, true, "The value, or a text that holds it.")
            .gives("out", PortType::Json(None), "The part.")
            .setting("in", Any, false, None, "The value, where no edge brings it.")
            .setting("query", Text, true, None, "A path such as `.files[0].name`; `[]` takes every element."),
        signature("test.run", &[Operator], "Runs the tests of the worktree and reads what came of them.")
            .open()
            .writes()
            .gives("passed", PortType::json("boolean"), "Whether all passed.")
            .gives("report", PortType::Text, "What the tests wrote.")
            .gives("status", PortType::json("integer"), "How the command ended.")
            .setting("command", Template(Shell), true, None, "For `sh -c`; values go in as one word each.")
            .setting("env", Table, false, None, "Further variables."),
    ]
}

fn git_operators() -> Vec<Signature> {
    vec![
        signature("git.diff", &[Operator], "Shows what differs from a commit, uncommitted changes included.")
            .open()
            .gives("diff", PortType::Text, "The patch.")
            .gives("files", PortType::list(PortType::Text), "The changed paths.")
            .setting("base", Template(Plain), false, Some(json!("HEAD")), "A branch, tag or commit.")
            .setting("paths", Templates, false, None, "Only these paths."),
        signature("git.commit", &[Operator], "Commits changes of the worktree.")
            .open()
            .writes()
            .takes("message", PortType::Text, true, "What changed, and why.")
            .gives("commit", PortType::optional(PortType::Text), "Id of the commit; none if nothing changed.")
            .setting("message", Template(Plain), false, None, "What changed, and why.")
            .setting("paths", Templates, false, None, "Only these paths."),
        signature("git.apply", &[Operator], "Applies a patch to the worktree, whole or not at all.")
            .writes()
            .takes("patch", PortType::Text, true, "The patch.")
            .gives("files", PortType::list(PortType::Text), "The changed paths.")
            .setting("patch", Template(Plain), false, None, "The patch, where no edge brings it."),
    ]
}

fn file_operators() -> Vec<Signature> {
    vec![
        signature("files.read", &[Operator], "Reads a file of the worktree.")
            .open()
            .takes("path", PortType::Text, true, "Relative to the worktree.")
            .gives("content", PortType::Text, "What it holds.")
            .setting("path", Template(Plain), false, None, "Relative to the worktree."),
        signature("files.write", &[Operator], "Writes a file of the worktree, whole or not at all.")
            .open()
            .writes()
            .takes("content", PortType::Text, true, "What it is to hold.")
            .takes("path", PortType::Text, true, "Relative to the worktree.")
            .gives("path", PortType::Text, "Where it was written.")
            .setting("path", Template(Plain), false, None, "Relative to the worktree.")
            .setting("content", Template(Plain), false, None, "What it is to hold, where no edge brings it."),
        signature("files.glob", &[Operator], "Lists files of the worktree that git does not ignore.")
            .open()
            .gives("files", PortType::list(PortType::Text), "Their paths, sorted.")
            .setting("pattern", Template(Plain), true, None, "Such as `src/**/*.rs`."),
    ]
}

fn outside_operators() -> Vec<Signature> {
    vec![
        signature("http.get", &[Operator], "Fetches an address.")
            .open()
            .gives("body", PortType::Text, "What came.")
            .gives("status", PortType::json("integer"), "The status of the answer.")
            .gives("headers", PortType::json("object"), "The headers of the answer.")
            .setting("url", Template(Url), true, None, "The address; values go in percent-encoded.")
            .setting("headers", Table, false, None, "Headers of the request.")
            .setting(
                "max_bytes",
                Integer(1, 64 << 20),
                false,
                Some(json!(1 << 20)),
                "The most that is read.",
            ),
        signature("artifact.search", &[Operator], "Searches what was stored.")
            .open()
            .takes("query", PortType::Text, true, "What is searched.")
            .gives(
                "hits",
                PortType::list(PortType::json("object")),
                "Best first: id, title, kind, score, snippet.",
            )
            .setting("query", Template(Plain), false, None, "What is searched.")
            .setting("limit", Integer(1, 100), false, Some(json!(10)), "The most hits.")
            .setting(
                "kind",
                Choice(&crate::port_type::ARTIFACT_KINDS),
                false,
                None,
                "Only artifacts of this kind.",
            ),
        signature("human.approve", &[Control, Operator], "Asks a person, and goes on when they allow it.")
            .open()
            .writes()
            .takes("in", PortType::Any, false, "What it is about.")
            .gives("out", PortType::Any, "The same, once it is allowed.")
            .gives("decision", PortType::Text, "What was decided, and by whom.")
            .setting("question", Template(Plain), true, None, "What is asked."),
    ]
}

fn controls() -> Vec<Signature> {
    let any_list = || PortType::list(PortType::Any);
    vec![
        Signature {
            aliases: &["fan-out"],
            ..signature("map", &[Control], "Runs something for each element of a list.")
        }
        .open()
        .writes()
        .takes("over", any_list(), true, "The list.")
        .gives("results", any_list(), "The main output for each element, in the order of the list.")
        .setting("over", Any, false, None, "The list, where no edge brings it.")
        .setting("uses", Uses, true, None, "What runs; its params know {{item}} and {{index}}.")
        .setting("params", InnerParams, false, None, "Its params.")
        .setting("concurrency", Integer(1, 256), false, None, "How many run at once at most.")
        .setting(
            "skip_failed",
            Flag,
            false,
            Some(json!(false)),
            "Whether failed elements are left out.",
        ),
        signature("branch", &[Control], "Goes one of two ways.")
            .pure()
            .takes("in", PortType::Any, true, "What decides.")
            .gives("then", PortType::Any, "The same, if the condition holds.")
            .gives("else", PortType::Any, "The same, if it does not.")
            .setting("when", Condition, true, None, "The condition, on what comes in."),
        Signature {
            join: Join::Any,
            ..signature("merge", &[Control], "Joins ways of which some were not taken.")
        }
        .pure()
        .takes_many("in", "The ways.")
        .gives(
            "out",
            PortType::Any,
            "The value of the first edge that was taken, in the order of the file.",
        ),
        signature("loop", &[Control], "Runs something again and again, each time with what it gave before.")
            .open()
            .writes()
            .takes("in", PortType::Any, false, "What the first run gets.")
            .gives("out", PortType::Any, "The main output of the last run.")
            .gives("rounds", PortType::json("integer"), "How often it ran.")
            .setting("uses", Uses, true, None, "What runs; its params know {{in}} and {{index}}.")
            .setting("params", InnerParams, false, None, "Its params.")
            .setting("max", Integer(1, 1000), true, None, "The most runs.")
            .setting("until", Condition, false, None, "Ends early, on the main output."),
        signature("parallel", &[Control], "Gives one value to several ways that run at the same time.")
            .pure()
            .takes("in", PortType::Any, false, "The value.")
            .gives("out", PortType::Any, "The same."),
        signature("join", &[Control], "Waits for several ways.").pure().takes_many("in", "The ways.").gives(
            "out",
            any_list(),
            "All values, in the order of the edges in the file.",
        ),
    ]
}

fn signature(uses: &'static str, kinds: &'static [NodeKind], summary: &'static str) -> Signature {
    Signature {
        uses,
        aliases: &[],
        kinds,
        summary,
        inputs: Vec::new(),
        open_inputs: false,
        outputs: Vec::new(),
        params: Vec::new(),
        pure: false,
        writes: false,
        join: Join::All,
    }
}

impl Signature {
    fn open(mut self) -> Self {
        self.open_inputs = true;
        self
    }

    fn pure(mut self) -> Self {
        self.pure = true;
        self
    }

    fn writes(mut self) -> Self {
        self.writes = true;
        self
    }

    fn takes(
        mut self,
        name: &'static str,
        port_type: PortType,
        required: bool,
        summary: &'static str,
    ) -> Self {
        self.inputs.push(InputPort { name, port_type, required, many: false, summary });
        self
    }

    fn takes_many(mut self, name: &'static str, summary: &'static str) -> Self {
        self.inputs.push(InputPort { name, port_type: PortType::Any, required: true, many: true, summary });
        self
    }

    fn gives(mut self, name: &'static str, port_type: PortType, summary: &'static str) -> Self {
        self.outputs.push(OutputPort { name, port_type, summary });
        self
    }

    fn setting(
        mut self,
        name: &'static str,
        form: Form,
        required: bool,
        default: Option<Value>,
        summary: &'static str,
    ) -> Self {
        self.params.push(Param { name, form, required, default, summary });
        self
    }
}
