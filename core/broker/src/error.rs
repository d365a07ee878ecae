//! What is refused, and why.

use podium_protocol::WireError;
use podium_store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error("`{name}` is no type of an event: {why}")]
    Name { name: String, why: String },
    #[error("only Podium itself publishes `{0}`")]
    Reserved(String),
    #[error("an agent cannot publish `{0}`")]
    NotForAgents(String),
    #[error("the data of `{kind}` is wrong: {}", problems.join("; "))]
    Data { kind: String, problems: Vec<String> },
    #[error("{0}")]
    Bound(String),
    #[error("another event has the id {0}")]
    IdTaken(String),
    #[error("task {0} was assigned before, and differently")]
    OtherTask(String),
    #[error("no task `{0}`")]
    NoTask(String),
    #[error("task {id} {why}")]
    TaskState { id: String, why: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BrokerError {
    /// From the database itself, within a transaction.
    pub(crate) fn sql(error: podium_store::rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<podium_store::rusqlite::Error> for BrokerError {
    fn from(error: podium_store::rusqlite::Error) -> Self {
        Self::sql(error)
    }
}

impl From<BrokerError> for WireError {
    fn from(error: BrokerError) -> Self {
        let message = error.to_string();
        match error {
            BrokerError::Store(error) => error.into(),
            BrokerError::Name { .. } => {
                Self::usage(message).hint("name what has happened to what: `deploy.finished`")
            }
            BrokerError::Reserved(_) => {
                Self::user(message).hint("`bb types` lists who may publish what; choose a noun of your own")
            }
            BrokerError::NotForAgents(_) => {
                Self::user(message).hint("ask the person: `jelmore inbox ask \"...\"`")
            }
            BrokerError::Data { kind, .. } => {
                Self::usage(message).hint(format!("`bb types {kind}` shows the schema"))
            }
            BrokerError::Bound(_) => Self::usage(message),
            BrokerError::IdTaken(_) => Self::conflict(message).hint("leave the id away, or take a new UUID"),
            BrokerError::OtherTask(id) => Self::conflict(message)
                .hint(format!("`bb dlq show {id}` shows the first; give the second another id")),
            BrokerError::NoTask(_) => Self::not_found(message).hint("`bb dlq list --all` lists the tasks"),
            BrokerError::TaskState { .. } => Self::conflict(message),
        }
    }
}
