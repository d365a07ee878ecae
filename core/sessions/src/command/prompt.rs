//! What a program is asked, and how it gets that.

use crate::child::{Agent, with_history};
use crate::provider::Turn;

pub(super) struct Asked {
    pub(super) argv: Vec<String>,
    /// Written to its standard input, unless an argument holds it.
    pub(super) stdin: Option<String>,
}

const PROMPT: &str = "{prompt}";

/// `{prompt}` in an argument is replaced by the prompt; without any the program reads it from its standard input.
pub(super) fn of(agent: &Agent, turn: &Turn) -> Asked {
    let prompt = with_history(turn);
    let by_argument = agent.argv.iter().any(|argument| argument.contains(PROMPT));
    let argv = agent.argv.iter().map(|argument| argument.replace(PROMPT, &prompt)).collect();
    Asked { argv, stdin: (!by_argument).then_some(prompt) }
}
