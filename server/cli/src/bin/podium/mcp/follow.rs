//! The event log, told as changes of resources.

use std::sync::Arc;

use rmcp::RoleServer;
use rmcp::model::ResourceUpdatedNotificationParam;
use rmcp::service::Peer;

use super::desk::Desk;
use super::resources;

/// Tells of changes until the client is gone.
pub(super) async fn follow(desk: Arc<Desk>, peer: Peer<RoleServer>) {
    let Ok(mut events) = desk.client.subscribe(None, Vec::new()).await else { return };
    while let Some(event) = events.next().await {
        for (uri, _, _, causes) in resources::ALL {
            if !causes.iter().any(|cause| event.kind.starts_with(cause)) {
                continue;
            }
            // Nobody may be listening.
            let _ = desk.changes.send((*uri).to_owned());
            if desk.is_subscribed(uri) {
                let note = ResourceUpdatedNotificationParam::new(*uri);
                if peer.notify_resource_updated(note).await.is_err() {
                    return;
                }
            }
        }
    }
}
