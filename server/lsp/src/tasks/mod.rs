//! Background tasks, one file each. They begin with `initialized` and end with the process.

mod connection;
mod events;
mod files;
mod hints;
mod housekeeping;
mod inbox;
mod melodies;
mod parent;

use std::sync::Arc;

pub(crate) use parent::parent_died;

use crate::state::State;

pub(crate) fn start(state: &Arc<State>) {
    tokio::spawn(connection::tell(Arc::clone(state)));
    tokio::spawn(events::listen(Arc::clone(state)));
    tokio::spawn(files::follow(Arc::clone(state)));
    tokio::spawn(hints::keep(Arc::clone(state)));
    tokio::spawn(inbox::ask(Arc::clone(state)));
    tokio::spawn(melodies::judge(Arc::clone(state)));
    tokio::spawn(housekeeping::tidy(Arc::clone(state)));
}
