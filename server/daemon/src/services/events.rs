//! `events/*` and `unsubscribe`.

use podium_protocol::{
    EventNotification, EventsPage, EventsReadParams, EventsSubscribeParams, EventsSubscribed,
    UnsubscribeParams, Unsubscribed, WireError, notify,
};

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

pub(crate) async fn unsubscribe(call: Call, params: UnsubscribeParams) -> Result<Unsubscribed, WireError> {
    Ok(Unsubscribed { existed: call.peer.end(params.subscription) })
}
