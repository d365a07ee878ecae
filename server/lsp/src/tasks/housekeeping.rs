//! Takes old scratch documents and views away, once.

use std::sync::Arc;

use crate::state::State;
use crate::views::remove_old;

pub(crate) async fn tidy(state: Arc<State>) {
    let home = &state.daemon.options().home;
    let folders = [home.scratch(), home.views()];
    let _ = tokio::task::spawn_blocking(move || folders.iter().for_each(|folder| remove_old(folder))).await;
}
