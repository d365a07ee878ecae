//! Bloodbank: what others than the daemon publish, and tasks that wait in queues.
//!
//! - [`publish`] appends an event of a person, an agent or a program: its type is judged ([`names`]), its data checked
//!   against the JSON Schema of the type ([`types`]), bounded and redacted.
//! - [`Tasks`] are the queues. A task's row comes with its event `task.assigned` and ends with `task.completed` or
//!   `task.failed`, each in one transaction, so that a task has one outcome however often it was delivered.
//! - [`listen`] takes tasks and hands them to a [`TaskHandler`]; it does not know what a handler does, nor who brought the
//!   task into the queue.

mod error;
mod names;
mod publish;
mod tasks;
mod types;

pub use error::BrokerError;
pub use names::{Judged, judge};
pub use publish::{MAX_DATA, Publication, Published, Publisher, publish};
pub use tasks::{Given, ListenOptions, Patience, Task, TaskHandler, Tasks, Worked, listen};
pub use types::types;
