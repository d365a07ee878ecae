//! `podium artifacts`.

use jiff::Timestamp;
use podium_cli::context::{Context, list_scope};
use podium_cli::output::Ending;
use podium_cli::style::{Painter, one_line, shortened, size};
use podium_cli::table::{Rows, repo_name, several_repos};
use podium_cli::time::ago;
use podium_protocol::{
    Artifact, ArtifactGet, ArtifactGetParams, ArtifactHit, ArtifactListMethod, ArtifactListParams,
    ArtifactSearch, ArtifactSearchParams, ListScope,
};

use crate::args::{ArtifactFilter, ArtifactsCommand};

pub(crate) async fn run(context: &Context, command: ArtifactsCommand) -> Ending {
    match command {
        ArtifactsCommand::Search { query, filter } => search(context, query, filter).await,
        ArtifactsCommand::Get { id, path } => get(context, id, path).await,
        ArtifactsCommand::List { repo, all, filter } => {
            list(context, list_scope(repo.as_deref(), all)?, filter).await
        }
    }
}

async fn search(context: &Context, query: String, filter: ArtifactFilter) -> Ending {
    let ArtifactFilter { kind, session, worktree, limit } = filter;
    let params = ArtifactSearchParams { query, kind, session, worktree, limit };
    let answer = context.client()?.call::<ArtifactSearch>(params).await?;
    context.output.reply(&answer, |paint| render_hits(&answer.hits, paint))?;
    Ok(0)
}

async fn list(context: &Context, scope: ListScope, filter: ArtifactFilter) -> Ending {
    let ArtifactFilter { kind, session, worktree, limit } = filter;
    let params = ArtifactListParams { scope, kind, session, worktree, limit };
    let answer = context.client()?.call::<ArtifactListMethod>(params).await?;
    context.output.reply(&answer, |paint| render_list(&answer.artifacts, Timestamp::now(), paint))?;
    Ok(0)
}

/// Text goes out as it is, so that it can be piped; what is not text is told by its path.
async fn get(context: &Context, id: String, path: bool) -> Ending {
    let answer = context.client()?.call::<ArtifactGet>(ArtifactGetParams { id }).await?;
    if context.output.is_json() {
        context.output.reply(&answer, |_| String::new())?;
        return Ok(0);
    }
    match &answer.text {
        Some(text) if !path => context.output.text(text)?,
        _ => context.output.text(&format!("{}\n", answer.path))?,
    }
    Ok(0)
}

fn render_hits(hits: &[ArtifactHit], paint: Painter) -> String {
    if hits.is_empty() {
        return "nothing found".to_owned();
    }
    let mut text = String::new();
    for hit in hits {
        let place = hit.worktree.as_ref().map_or_else(String::new, |w| format!(" in {w}"));
        text += &format!("{}  {}\n", paint.bold(&one_line(&hit.title)), paint.dim(&one_line(&hit.id)));
        text +=
            &format!("  {}{}: {}\n", one_line(&hit.kind), one_line(&place), one_line(&hit.snippet).trim());
    }
    text
}

fn render_list(artifacts: &[Artifact], now: Timestamp, paint: Painter) -> String {
    if artifacts.is_empty() {
        return "no artifacts".to_owned();
    }
    let mut rows = Rows::new(&["ID", "AGE", "KIND", "SIZE", "REPO", "WORKTREE", "TITLE"]).right(3);
    let several = several_repos(artifacts.iter().map(|a| a.repo.as_ref()));
    for a in artifacts {
        let worktree = a.worktree.clone().unwrap_or_default();
        let title = shortened(&one_line(&a.title), 60);
        let repo = a.repo.as_ref().filter(|_| several).map(repo_name).unwrap_or_default();
        let age = ago(&a.created_at, now);
        rows.push([a.id.clone(), age, a.kind.clone(), size(a.bytes), repo, worktree, title]);
    }
    rows.render(paint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_show_where_the_words_are() {
        let hit = ArtifactHit {
            id: "0197-a1".into(),
            title: "What does this do?".into(),
            kind: "docs".into(),
            session: None,
            worktree: Some("feat-x".into()),
            score: 1.5,
            snippet: "\n the lighthouse\tkeeps ".into(),
            created_at: "2026-01-02T03:04:05Z".into(),
        };
        insta::assert_snapshot!(render_hits(&[hit], Painter::new(false)));
        assert_eq!(render_hits(&[], Painter::new(false)), "nothing found");
    }
}
