//! `jelmore inbox --watch`: questions and answers as they come.

use std::collections::BTreeMap;

use podium_client::Client;
use podium_protocol::{InboxItem, InboxListMethod, InboxListParams, WireError};
use serde::Serialize;

use super::{now, render};
use crate::context::Context;
use crate::interrupt::Interrupts;
use crate::output::{Ending, Failure};

const TYPES: &str = "inbox.*";

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Asked { item: &'a InboxItem },
    Answered { item: &'a InboxItem },
    Withdrawn { item: &'a InboxItem },
    End,
}

pub(super) async fn run(context: &Context, client: &Client) -> Ending {
    let mut interrupts = Interrupts::listen()?;
    // Subscribed before the list is read, so that nothing falls between the two.
    let mut events = client.subscribe(None, vec![TYPES.to_owned()]).await?;
    let mut shown = Shown::default();
    shown.update(context, client).await?;
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(_) => shown.update(context, client).await?,
                None => return Err(WireError::unavailable("the daemon went away")
                    .hint("go on with `jelmore inbox --watch`").into()),
            },
            () = interrupts.next() => break,
        }
    }
    if context.output.is_json() {
        context.output.line(&Line::End)?;
    }
    Ok(0)
}

/// The questions that were shown as open. An event only says that something changed; the list is the truth.
#[derive(Default)]
struct Shown {
    open: BTreeMap<String, InboxItem>,
}

impl Shown {
    async fn update(&mut self, context: &Context, client: &Client) -> Result<(), Failure> {
        let open = client.call::<InboxListMethod>(InboxListParams { all: false }).await?.items;
        let ids: Vec<&str> = open.iter().map(|item| item.id.as_str()).collect();
        let gone: Vec<String> = self.open.keys().filter(|id| !ids.contains(&id.as_str())).cloned().collect();
        for id in gone {
            let was = self.open.remove(&id);
            if let Some(item) = super::find(client, &id).await?.or(was) {
                print(context, &item)?;
            }
        }
        for item in open {
            if !self.open.contains_key(&item.id) {
                print(context, &item)?;
                self.open.insert(item.id.clone(), item);
            }
        }
        Ok(())
    }
}

fn print(context: &Context, item: &InboxItem) -> Result<(), Failure> {
    if !context.output.is_json() {
        return context
            .output
            .text(&format!("{}\n", render::question(item, now(), context.output.painter())));
    }
    context.output.line(&match (item.decision, &item.withdrawn_at) {
        (Some(_), _) => Line::Answered { item },
        (None, Some(_)) => Line::Withdrawn { item },
        (None, None) => Line::Asked { item },
    })
}
