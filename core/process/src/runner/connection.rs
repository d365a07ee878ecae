//! One client of a runner.

use std::{io, sync::Arc, time::Duration};

use tokio::{net::UnixStream, sync::mpsc};

use super::{
    child::EndRequest,
    host::{Input, Shared},
    spec::EndCause,
    wire::{FROM_NOW_ON, Receiver, Sender, SocketReceiver, SocketSender, ToClient, ToRunner},
};

/// Serves one connection to its end. Only processes of this user are answered.
pub(super) async fn serve(shared: Arc<Shared>, stream: UnixStream, id: u64) {
    let peer = stream.peer_cred().map(|peer| peer.uid());
    if peer.ok() != Some(rustix::process::getuid().as_raw()) {
        return;
    }
    let (reader, writer) = stream.into_split();
    let (attach, attached) = mpsc::unbounded_channel();
    let sent = send(&shared, Sender::new(writer), attached, id);
    let received = receive(&shared, Receiver::new(reader), &attach, id);
    tokio::select! {
        result = sent => report(result),
        result = received => report(result),
    }
    // Whoever attached later stays attached.
    shared.attached.send_if_modified(|current| {
        let mine = *current == id;
        if mine {
            *current = 0;
        }
        mine
    });
}

fn report(result: io::Result<()>) {
    if let Err(error) = result {
        tracing::debug!(%error, "a client of the runner went away");
    }
}

/// What the receiving half wants to be sent.
enum Order {
    Attach { offset: u64 },
    Refuse { number: u64 },
}

/// Never waits for anything but the client: an end must be heard also while output does not flow.
async fn receive(
    shared: &Shared,
    mut client: SocketReceiver,
    orders: &mpsc::UnboundedSender<Order>,
    id: u64,
) -> io::Result<()> {
    while let Some(message) = client.receive::<ToRunner>().await? {
        let mine = *shared.attached.borrow() == id;
        match message {
            ToRunner::Attach { offset } => {
                shared.attached.send_replace(id);
                let _ = orders.send(Order::Attach { offset });
            }
            // Who was displaced has no say any more.
            _ if !mine => continue,
            ToRunner::Acknowledge { offset } => shared.acknowledge(offset),
            ToRunner::Input { number, bytes } => {
                if !shared.apply(number, Input::Bytes(bytes)) {
                    let _ = orders.send(Order::Refuse { number });
                }
            }
            ToRunner::CloseInput { number } => {
                shared.apply(number, Input::Close);
            }
            ToRunner::End { grace_ms } => {
                let grace = Duration::from_millis(grace_ms);
                shared.request(EndRequest { grace, cause: EndCause::Asked });
            }
            ToRunner::Done => {
                if shared.ended.borrow().is_some() {
                    shared.done.cancel();
                }
            }
        }
    }
    Ok(())
}

async fn send(
    shared: &Shared,
    mut client: SocketSender,
    mut orders: mpsc::UnboundedReceiver<Order>,
    id: u64,
) -> io::Result<()> {
    let (mut received, mut ended) = (shared.received.subscribe(), shared.ended.subscribe());
    let mut attached = shared.attached.subscribe();
    client.send(&ToClient::Hello(Box::new(shared.status()))).await?;
    let mut cursor = None;
    let mut told_end = false;
    loop {
        if cursor.is_some() && *attached.borrow_and_update() != id {
            return client.send(&ToClient::Displaced).await;
        }
        let known = *received.borrow_and_update();
        // Looked at after `received`: an end that is seen here comes after everything that was received.
        let end = ended.borrow_and_update().clone();
        match cursor {
            Some(offset) if offset < *shared.received.borrow() => {
                let bytes = shared.read(offset)?;
                cursor = Some(offset + bytes.len() as u64);
                client.send(&ToClient::Output { offset, bytes }).await?;
                continue;
            }
            Some(offset) if !told_end && offset >= known => {
                if let Some(end) = end {
                    told_end = true;
                    client.send(&ToClient::Ended(end)).await?;
                    continue;
                }
            }
            _ => {}
        }
        tokio::select! {
            Some(order) = orders.recv() => match order {
                Order::Refuse { number } => client.send(&ToClient::InputFull { number }).await?,
                Order::Attach { offset } => {
                    let oldest = shared.oldest();
                    let offset = if offset == FROM_NOW_ON { *shared.received.borrow() } else { offset };
                    if offset < oldest || offset > *shared.received.borrow() {
                        return client.send(&ToClient::Gone { offset, oldest }).await;
                    }
                    shared.acknowledge(offset);
                    cursor = Some(offset);
                }
            },
            _ = received.changed() => {}
            _ = ended.changed() => {}
            _ = attached.changed() => {}
        }
    }
}
