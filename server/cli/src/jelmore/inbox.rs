//! The inbox: questions of agents, answers of the person.

mod live;
mod watch;

use podium_client::Client;
use podium_protocol::{
    InboxAnswer, InboxAnswerParams, InboxAnswered, InboxAsk, InboxAskParams, InboxDecision, InboxItem,
    InboxListMethod, InboxListParams, InboxScope, PermissionForget, PermissionForgetParams,
    PermissionListMethod, PermissionListParams, WireError,
};

use super::args::{InboxArgs, InboxCommand};
use super::{now, render};
use crate::context::Context;
use crate::output::{Ending, usage};
use crate::progress::waiting;
use crate::style::one_line;

/// Event that carries the answer to a question.
const ANSWERED: &str = "inbox.answered";

pub(super) async fn run(context: &Context, args: InboxArgs) -> Ending {
    let client = context.client()?;
    match args.command {
        Some(_) if args.watch => Err(usage("--watch has no command", "jelmore inbox --watch")),
        None if args.watch => watch::run(context, &client).await,
        None if !args.all && context.output.is_live() => live::run(&client).await,
        None => list(context, &client, args.all).await,
        Some(InboxCommand::List { all }) => list(context, &client, all || args.all).await,
        Some(_) if args.all => {
            Err(usage("--all belongs to the list of questions", "jelmore inbox list --all"))
        }
        Some(InboxCommand::Show { id }) => show(context, &client, &id).await,
        Some(InboxCommand::Answer { id, decision, scope }) => {
            let params = InboxAnswerParams { id, decision: decision.into(), scope: Some(scope.into()) };
            let answered = client.call::<InboxAnswer>(params).await?;
            print_answer(context, &answered)?;
            Ok(0)
        }
        Some(InboxCommand::Rules) => {
            let answer = client.call::<PermissionListMethod>(PermissionListParams {}).await?;
            context.output.reply(&answer, |paint| render::grants(&answer.permissions, now(), paint))?;
            Ok(0)
        }
        Some(InboxCommand::Forget { id }) => {
            let answer = client.call::<PermissionForget>(PermissionForgetParams { id }).await?;
            let tool = one_line(&answer.permission.tool);
            context.output.reply(&answer, |_| format!("taken back: {tool} is asked about again"))?;
            Ok(0)
        }
        Some(InboxCommand::Ask { question, agent_id, wait }) => {
            ask(context, &client, InboxAskParams { question, agent_id: context.agent(agent_id) }, wait).await
        }
    }
}

async fn list(context: &Context, client: &Client, all: bool) -> Ending {
    let answer = client.call::<InboxListMethod>(InboxListParams { all }).await?;
    context.output.reply(&answer, |paint| render::inbox(&answer.items, now(), paint))?;
    Ok(0)
}

async fn show(context: &Context, client: &Client, id: &str) -> Ending {
    let item = find(client, id).await?.ok_or_else(|| {
        WireError::not_found(format!("there is no question `{id}` in the inbox"))
            .hint("`jelmore inbox` lists the open ones")
    })?;
    context
        .output
        .reply(&InboxAnswered { item: item.clone() }, |paint| render::question(&item, now(), paint))?;
    Ok(0)
}

async fn ask(context: &Context, client: &Client, params: InboxAskParams, wait: bool) -> Ending {
    // Subscribed before the question is put, so that a quick answer is not missed.
    let events = if wait { Some(client.subscribe(None, vec![ANSWERED.to_owned()]).await?) } else { None };
    let mut asked = client.call::<InboxAsk>(params).await?;
    if let Some(mut events) = events {
        let answer = async {
            while asked.item.is_open() {
                if events.next().await.is_none() {
                    return Err(WireError::unavailable(
                        "the daemon went away before the question was answered",
                    )
                    .hint(format!("`jelmore inbox list --all` tells the answer to {}", asked.item.id)));
                }
                if let Some(item) = find(client, &asked.item.id).await? {
                    asked.item = item;
                }
            }
            Ok(())
        };
        waiting(&context.output, "waiting for the answer", answer).await?;
    }
    print_answer(context, &asked)?;
    Ok(u8::from(asked.item.decision == Some(InboxDecision::Deny) || asked.item.withdrawn_at.is_some()))
}

/// The question as it stands now: the event says that something was answered, the list is the truth.
async fn find(client: &Client, id: &str) -> Result<Option<InboxItem>, WireError> {
    let items = client.call::<InboxListMethod>(InboxListParams { all: true }).await?.items;
    Ok(items.into_iter().find(|i| i.id == id))
}

fn print_answer(context: &Context, answered: &InboxAnswered) -> Result<(), crate::output::Failure> {
    let item = &answered.item;
    context.output.reply(answered, |_| match item.decision {
        None if item.withdrawn_at.is_some() => format!("withdrawn: {}", one_line(&item.question)),
        None => format!("asked as {}", item.id),
        Some(InboxDecision::Allow) => format!("allowed{}: {}", reach(item), one_line(&item.question)),
        Some(InboxDecision::Deny) => format!("denied{}: {}", reach(item), one_line(&item.question)),
    })
}

/// How far the answer reaches, where that is beyond the question.
fn reach(item: &InboxItem) -> &'static str {
    match item.scope {
        Some(InboxScope::Session) => " for this session",
        Some(InboxScope::Project) => " for this repository",
        _ => "",
    }
}
