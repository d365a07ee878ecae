//! Sessions as they are stored: lists and transcripts.

use std::collections::HashMap;

use podium_protocol::{SessionInfo, SessionItem, SessionListParams, SessionShown};

use crate::SessionError;
use crate::manager::Sessions;
use crate::rows;

/// Items that one answer shows.
const SHOWN_ITEMS: usize = 20_000;
/// Text that one answer shows, in bytes.
const SHOWN_BYTES: usize = 8 * 1024 * 1024;

impl Sessions {
    /// Sessions, newest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn list(&self, params: SessionListParams) -> Result<Vec<SessionInfo>, SessionError> {
        Ok(self.list_in(params, None).await?.into_iter().map(|(session, _)| session).collect())
    }

    /// The same with the ids of the repositories they were started in; of these `repos` only, if there is a choice.
    ///
    /// # Errors
    /// What the database says.
    pub async fn list_in(
        &self,
        params: SessionListParams,
        repos: Option<Vec<String>>,
    ) -> Result<Vec<(SessionInfo, Option<String>)>, SessionError> {
        let read = move |conn: &podium_store::rusqlite::Connection| -> Result<_, SessionError> {
            Ok(rows::list(conn, &params, repos.as_deref())?)
        };
        let found = self.inner.store.read(read).await?;
        Ok(found.into_iter().map(|(info, repo)| (self.inner.hub.enliven(info), repo)).collect())
    }

    /// Ids of sessions and of the repositories they were started in; as [`Sessions::list_in`] chooses.
    ///
    /// # Errors
    /// What the database says.
    pub async fn started_in(
        &self,
        repos: Option<Vec<String>>,
    ) -> Result<HashMap<String, String>, SessionError> {
        let read = move |conn: &podium_store::rusqlite::Connection| -> Result<_, SessionError> {
            Ok(rows::started_in(conn, repos.as_deref())?.into_iter().collect())
        };
        self.inner.store.read(read).await
    }

    /// A session (the newest where no id is given) with its items above `from`.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn show(&self, id: Option<&str>, from: u64) -> Result<SessionShown, SessionError> {
        let id = id.map(str::to_owned);
        let read = move |conn: &podium_store::rusqlite::Connection| -> Result<_, SessionError> {
            let row = match id {
                Some(id) => rows::resolve(conn, &id)?,
                None => rows::newest(conn)?.ok_or_else(|| SessionError::NotFound("newest".to_owned()))?,
            };
            let (items, more) = rows::items(conn, &row.info.id, from, SHOWN_ITEMS, SHOWN_BYTES)?;
            let items = items.into_iter().map(|i| i.item).collect();
            Ok(SessionShown { session: row.info, items, more })
        };
        let shown: SessionShown = self.inner.store.read(read).await?;
        Ok(SessionShown { session: self.inner.hub.enliven(shown.session), ..shown })
    }

    /// Stored items above `from`, one page; whether there are more.
    ///
    /// # Errors
    /// What the database says.
    pub async fn items(&self, id: &str, from: u64) -> Result<(Vec<SessionItem>, bool), SessionError> {
        let id = id.to_owned();
        let read = move |conn: &podium_store::rusqlite::Connection| -> Result<_, SessionError> {
            let (items, more) = rows::items(conn, &id, from, 500, 512 * 1024)?;
            Ok((items.into_iter().map(|i| i.item).collect(), more))
        };
        self.inner.store.read(read).await
    }
}
