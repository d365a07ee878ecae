//! `workspace/symbol`: a query that starts with `#` searches artifacts.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use podium_protocol::{
    ArtifactGet, ArtifactGetParams, ArtifactHit, ArtifactListMethod, ArtifactListParams, ArtifactSearch,
    ArtifactSearchParams, WireError,
};
use tower_lsp::ls_types::{Location, Range, SymbolInformation, SymbolKind, Uri};

use crate::state::State;
use crate::uris;

/// Artifacts of one answer: each one is asked for its file.
const MAX_HITS: u32 = 20;
const AT_ONCE: usize = 8;
/// Longest wait: the person types on meanwhile.
const TIMEOUT: Duration = Duration::from_secs(3);

pub(crate) async fn workspace_symbol(
    state: &Arc<State>,
    query: &str,
) -> Result<Vec<SymbolInformation>, WireError> {
    let Some(words) = query.strip_prefix('#') else { return Ok(Vec::new()) };
    let found = async {
        let hits = find(state, words.trim()).await?;
        let symbols = stream::iter(hits).map(|hit| symbol(state, query, hit)).buffered(AT_ONCE);
        Ok(symbols.filter_map(std::future::ready).collect().await)
    };
    tokio::time::timeout(TIMEOUT, found)
        .await
        .unwrap_or_else(|_| Err(WireError::busy("the artifact search takes too long")))
}

async fn find(state: &State, words: &str) -> Result<Vec<ArtifactHit>, WireError> {
    if words.is_empty() {
        let params = ArtifactListParams { limit: Some(MAX_HITS), ..Default::default() };
        let newest = state.daemon.call::<ArtifactListMethod>(params).await?.artifacts;
        return Ok(newest
            .into_iter()
            .map(|a| ArtifactHit {
                id: a.id,
                title: a.title,
                kind: a.kind,
                session: a.session,
                worktree: a.worktree,
                score: 0.0,
                snippet: String::new(),
                created_at: a.created_at,
            })
            .collect());
    }
    let params =
        ArtifactSearchParams { query: words.to_owned(), limit: Some(MAX_HITS), ..Default::default() };
    Ok(state.daemon.call::<ArtifactSearch>(params).await?.hits)
}

async fn symbol(state: &State, query: &str, hit: ArtifactHit) -> Option<SymbolInformation> {
    let content = state.daemon.call::<ArtifactGet>(ArtifactGetParams { id: hit.id }).await.ok()?;
    let uri: Uri = uris::from_path(content.path.as_ref())?.parse().ok()?;
    #[expect(deprecated, reason = "the field has no default")]
    Some(SymbolInformation {
        // Editors drop symbols whose name does not match the query.
        name: format!("{query} · {}", hit.title),
        kind: SymbolKind::FILE,
        tags: None,
        deprecated: None,
        location: Location::new(uri, Range::default()),
        container_name: Some(match hit.worktree {
            Some(worktree) => format!("{} in {worktree}", hit.kind),
            None => hit.kind,
        }),
    })
}
