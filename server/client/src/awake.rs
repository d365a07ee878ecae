//! Coming back after a deliberate stop, once a person has started the daemon again.

use std::time::Duration;

use tokio::net::UnixStream;

use crate::{Client, ConnectionState};

/// Pause between two looks.
const EVERY: Duration = Duration::from_millis(250);
/// Looks at a socket that answers each time, after which it is not the one that ends.
const SURE: u32 = 40;

impl Client {
    /// Wakes the client whenever somebody else has started the daemon that a person had stopped. Starts none. To be run
    /// beside streams of a program that nobody can tell to come back.
    pub async fn wake_when_served(&self) {
        let mut state = self.state();
        while state.wait_for(|state| *state == ConnectionState::Stopped).await.is_ok() {
            let path = self.options().home.socket();
            // The one that ends may still be there; the next one may be there before anybody looked.
            let (mut gone, mut answered) = (false, 0);
            while answered == 0 || (!gone && answered < SURE) {
                tokio::time::sleep(EVERY).await;
                match UnixStream::connect(&path).await {
                    Err(_) => gone = true,
                    Ok(_) => answered += 1,
                }
            }
            self.wake();
        }
    }
}
