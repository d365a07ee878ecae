//! `jelmore sessions search`.

use clap::Args;
use podium_protocol::{ListScope, SessionSearch, SessionSearchParams};

use super::{now, render};
use crate::context::Context;
use crate::output::Ending;
use crate::progress::waiting;

#[derive(Debug, Clone, Args)]
pub struct SessionSearchArgs {
    /// Words, or beginnings of words, all of which it must hold
    #[arg(required = true, value_name = "WORD")]
    pub query: Vec<String>,
    /// Of every repository, and of none [default, unless --repo is given]
    #[arg(long, short)]
    pub all: bool,
    /// At most so many sessions
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: Option<u32>,
}

pub(super) async fn search(context: &Context, scope: ListScope, args: SessionSearchArgs) -> Ending {
    let params = SessionSearchParams { scope, query: args.query.join(" "), limit: args.limit };
    let client = context.client()?;
    let hits = waiting(&context.output, "searching", client.call::<SessionSearch>(params)).await?;
    context.output.reply(&hits, |paint| render::hits(&hits.sessions, now(), paint))?;
    Ok(0)
}
