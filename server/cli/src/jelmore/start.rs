//! Starting and resuming sessions.

use std::io::Read;

use podium_protocol::{
    RepoSelector, SessionResume, SessionResumeParams, SessionStart, SessionStartParams, WireError,
};

use super::args::{SessionResumeArgs, StartArgs};
use super::stream::{self, Follow, Run};
use crate::context::Context;
use crate::output::{Ending, Failure, usage};
use crate::progress::waiting;

/// Largest prompt read from standard input, in bytes. Well below a frame of the protocol.
const PROMPT_LIMIT: u64 = 8 * 1024 * 1024;

pub(super) async fn start(context: &Context, at: RepoSelector, args: StartArgs) -> Ending {
    let prompt = prompt(args.prompt)?;
    if prompt.is_none() && !args.go_on {
        return Err(usage(
            "a session needs a prompt",
            "give --prompt TEXT, or --prompt - to read it from standard input",
        ));
    }
    let go_on = args.go_on;
    let params = SessionStartParams {
        at,
        provider: args.provider,
        prompt,
        session_id: args.session_id,
        go_on,
        worktree: args.worktree,
        agent_id: context.agent(args.agent_id),
        model: args.model,
        seed: args.bounds.seed,
        max_tokens: args.bounds.max_tokens,
        temperature: args.bounds.temperature,
        max_cost_usd: args.limits.max_cost,
        max_total_tokens: args.limits.max_total_tokens,
        ..SessionStartParams::default()
    };
    let client = context.client()?;
    let started =
        waiting(&context.output, "starting the session", client.call::<SessionStart>(params)).await?;
    // A new session is shown from its first item: some of its answer may be stored before we are told its id.
    let from_seq = if go_on { started.last_seq } else { 0 };
    let run = if go_on { Run::Perhaps } else { Run::None };
    stream::follow(context, &client, Follow { id: started.id, from_seq, joined: started.joined, run }).await
}

pub(super) async fn resume(context: &Context, at: RepoSelector, args: SessionResumeArgs) -> Ending {
    let params = SessionResumeParams {
        id: args.id,
        prompt: prompt(args.prompt)?,
        again: args.again,
        seed: args.bounds.seed,
        max_tokens: args.bounds.max_tokens,
        temperature: args.bounds.temperature,
        max_cost_usd: args.limits.max_cost,
        max_total_tokens: args.limits.max_total_tokens,
        at,
    };
    let client = context.client()?;
    let resumed =
        waiting(&context.output, "resuming the session", client.call::<SessionResume>(params)).await?;
    stream::follow(
        context,
        &client,
        Follow { id: resumed.id, from_seq: args.from_seq, joined: resumed.joined, run: Run::Perhaps },
    )
    .await
}

/// The prompt, read from standard input where it is `-`.
pub(super) fn prompt(option: Option<String>) -> Result<Option<String>, Failure> {
    let Some(text) = option else { return Ok(None) };
    let text = if text == "-" { read_prompt(std::io::stdin().lock())? } else { text };
    if text.trim().is_empty() {
        return Err(usage("the prompt is empty", "give --prompt TEXT"));
    }
    Ok(Some(text))
}

fn read_prompt(input: impl Read) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    input
        .take(PROMPT_LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| WireError::user(format!("standard input cannot be read: {e}")))?;
    if bytes.len() as u64 > PROMPT_LIMIT {
        return Err(WireError::user("the prompt on standard input is over 8 MiB")
            .hint("name files in the prompt instead")
            .into());
    }
    String::from_utf8(bytes)
        .map_err(|_| WireError::user("the prompt on standard input is not UTF-8 text").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_from_standard_input_is_bounded_and_text() {
        assert_eq!(read_prompt("hä?\n".as_bytes()).unwrap(), "hä?\n");
        assert!(read_prompt(&[0xff_u8, 0xfe][..]).is_err());
        assert!(read_prompt(std::io::repeat(b'x')).is_err());
    }

    #[test]
    fn an_empty_prompt_is_a_usage_error() {
        assert!(matches!(prompt(Some("  \n".into())), Err(Failure::Coded(_, 2))));
        assert_eq!(prompt(None).unwrap(), None);
    }
}
