//! `events/*`, `event/*` and `unsubscribe`.

use podium_broker::{Publication, Publisher};
use podium_protocol::{
    EventFound, EventGetParams, EventNotification, EventPublishParams, EventPublished, EventTypes,
    EventTypesParams, EventsPage, EventsReadParams, EventsSubscribeParams, EventsSubscribed,
    UnsubscribeParams, Unsubscribed, WireError, notify,
};
use podium_store::{EventKey, StoreError, count_types, find_event};

use super::artifacts::redactor;

use crate::call::Call;

/// Events read from the store at one time.
const PAGE: usize = 200;
/// Types one subscription may name.
const MAX_TYPES: usize = 100;

pub(crate) async fn subscribe(
    call: Call,
    params: EventsSubscribeParams,
) -> Result<EventsSubscribed, WireError> {
    if params.types.len() > MAX_TYPES {
        return Err(WireError::user(format!("a subscription names at most {MAX_TYPES} types")));
    }
    let store = &call.daemon.store;
    let head_seq = store.head();
    let oldest_seq = store.oldest_event().await.map_err(WireError::from)?;
    let from = params.from_seq.unwrap_or(head_seq);
    let subscription =
        call.peer.reserve().ok_or_else(|| WireError::busy("too many subscriptions on this connection"))?;
    let peer = std::sync::Arc::clone(&call.peer);
    peer.run(call.request, subscription, follow(call, subscription, from, params.types));
    Ok(EventsSubscribed { subscription, head_seq, oldest_seq, missed: oldest_seq > from + 1 })
}

/// Sends what the log has above `from`, then waits for more. A slow client slows only its own subscription.
async fn follow(call: Call, subscription: u64, mut from: u64, types: Vec<String>) {
    let mut head = call.daemon.store.watch_head();
    loop {
        let page = match call.daemon.store.events(from, types.clone(), PAGE).await {
            Ok(page) => page,
            Err(error) => {
                tracing::error!(%error, "a subscription ended");
                return;
            }
        };
        for event in page.events {
            if !call.peer.notify(notify::EVENT, &EventNotification { subscription, event }).await {
                return;
            }
        }
        from = page.scanned_to;
        if page.at_end && head.wait_for(|head| *head > from).await.is_err() {
            return;
        }
    }
}

pub(crate) async fn read(call: Call, params: EventsReadParams) -> Result<EventsPage, WireError> {
    let limit = params.limit.unwrap_or(100).clamp(1, 1000) as usize;
    let head_seq = call.daemon.store.head();
    let mut events = Vec::new();
    let mut from = params.from_seq;
    loop {
        let page = call.daemon.store.events(from, params.types.clone(), limit - events.len()).await?;
        events.extend(page.events);
        from = page.scanned_to;
        if page.at_end || events.len() >= limit {
            return Ok(EventsPage { events, head_seq });
        }
    }
}

/// An agent tells of what it did, on its session's behalf. What makes Podium act, and the daemon's own types, it cannot
/// publish.
pub(crate) async fn publish(call: Call, params: EventPublishParams) -> Result<EventPublished, WireError> {
    let by = match call.agent() {
        Some((session, name)) => Publisher::Agent { name: name.to_owned(), session: session.to_owned() },
        None => Publisher::Person { name: call.acting(None)? },
    };
    let redactor = redactor(&call, call.agent().map(|(session, _)| session)).await;
    let publication = Publication::new(params, &by, &redactor)?;
    let published = podium_broker::publish(&call.daemon.tasks, publication).await?;
    Ok(EventPublished { event: published.event, duplicate: published.duplicate, task: published.task })
}

pub(crate) async fn get(call: Call, params: EventGetParams) -> Result<EventFound, WireError> {
    let id = params.id.clone();
    let find = call.daemon.store.read(move |conn| -> Result<_, StoreError> {
        let by_seq = match id.parse() {
            Ok(seq) => find_event(conn, EventKey::Seq(seq))?,
            Err(_) => None,
        };
        match by_seq {
            Some(event) => Ok(Some(event)),
            None => find_event(conn, EventKey::Beginning(&id)),
        }
    });
    let shown: String = params.id.chars().filter(|c| !c.is_control()).take(80).collect();
    let event = find.await?.ok_or_else(|| {
        WireError::not_found(format!("no event `{shown}`, or more than one begins so"))
            .hint("`bb tail --from-seq 0 --until-now` prints the log; old events are purged")
    })?;
    Ok(EventFound { event })
}

pub(crate) async fn types(call: Call, _params: EventTypesParams) -> Result<EventTypes, WireError> {
    let counted = call.daemon.store.read(count_types).await?;
    Ok(EventTypes { types: podium_broker::types(counted) })
}

pub(crate) async fn unsubscribe(call: Call, params: UnsubscribeParams) -> Result<Unsubscribed, WireError> {
    Ok(Unsubscribed { existed: call.peer.end(params.subscription) })
}
