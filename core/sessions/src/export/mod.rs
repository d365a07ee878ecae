//! The transcript as a document. What is written is what is stored: redacted, and whole, also where a rewind made parts of it
//! not count any more.

mod html;
mod json;
mod markdown;

use podium_protocol::{ExportFormat, SessionExportParams, SessionExported, SessionInfo, SessionItem};
use podium_store::rusqlite::Connection;

use crate::rows as session_rows;
use crate::{SessionError, Sessions};

/// Items and bytes of one piece.
const ITEMS: usize = 5_000;
const BYTES: usize = 2 * 1024 * 1024;

/// A format, piece by piece.
trait Format {
    fn media_type(&self) -> &'static str;
    fn head(&self, session: &SessionInfo) -> String;
    /// `before`: the item that the piece goes on behind, of those that a reader sees.
    fn items(&self, before: Option<&SessionItem>, items: &[SessionItem]) -> String;
    fn tail(&self) -> String;
}

impl Sessions {
    /// A piece of the transcript in a format.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn export(&self, params: SessionExportParams) -> Result<SessionExported, SessionError> {
        let SessionExportParams { id, format, from_seq } = params;
        let from = from_seq.unwrap_or(0);
        let read = move |conn: &Connection| -> Result<_, SessionError> {
            let row = session_rows::resolve_or_newest(conn, id.as_deref())?;
            // The one before tells whether a text goes on.
            let before = session_rows::visible_until(conn, &row.info.id, from)?;
            let (items, more) = session_rows::items(conn, &row.info.id, from, ITEMS, BYTES)?;
            Ok((row.info, before, items, more))
        };
        let (session, before, items, more) = self.inner.store.read(read).await?;
        let items: Vec<SessionItem> = items.into_iter().map(|stored| stored.item).collect();
        let writer: &dyn Format = match format {
            ExportFormat::Markdown => &markdown::Markdown,
            ExportFormat::Json => &json::Json,
            ExportFormat::Html => &html::Html,
        };
        let mut content = if from == 0 { writer.head(&session) } else { String::new() };
        content += &writer.items(before.as_ref(), &items);
        let next = items.last().map(|item| item.seq).filter(|_| more);
        if next.is_none() {
            content += &writer.tail();
        }
        let media_type = writer.media_type().to_owned();
        Ok(SessionExported { id: session.id, format, media_type, content, next })
    }
}
