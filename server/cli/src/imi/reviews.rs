//! Pull requests in worktrees of their own.

use podium_protocol::{
    RepoSelector, ReviewNumber, ReviewPush, ReviewPushParams, ReviewPushed, ReviewSuggested,
    ReviewSuggestions, ReviewSuggestionsParams, SuggestionState, WorktreeReview, WorktreeReviewParams,
    WorktreeReviewed,
};

use super::args::{ReviewArgs, ReviewCommand, ReviewPushArgs, ReviewSuggestionsArgs};
use super::render::cd_hint;
use super::worktrees::{enter, print_path};
use crate::context::Context;
use crate::output::Ending;
use crate::progress::waiting;
use crate::style::{Painter, count, one_line, printable};

pub(super) async fn run(context: &Context, at: RepoSelector, args: ReviewArgs) -> Ending {
    match args.command {
        Some(ReviewCommand::Push(push)) => return self::push(context, at, push).await,
        Some(ReviewCommand::Suggestions(asked)) => return suggestions(context, at, asked).await,
        None => {}
    }
    let params = WorktreeReviewParams {
        at,
        number: args.number.map(ReviewNumber::Text),
        remote: args.remote,
        agent_id: context.agent(args.agent_id),
    };
    let client = context.client()?;
    let opened =
        waiting(&context.output, "opening the review", client.call::<WorktreeReview>(params)).await?;
    let entered = enter(context, &opened.worktree);
    if args.print_path && !context.output.is_json() {
        return print_path(context, &opened.worktree);
    }
    context.output.reply(&opened, |paint| shown(&opened, entered, paint))?;
    Ok(0)
}

async fn push(context: &Context, at: RepoSelector, args: ReviewPushArgs) -> Ending {
    let params = ReviewPushParams {
        at,
        number: args.number.map(ReviewNumber::Text),
        remote: args.remote,
        branch: args.branch,
    };
    let client = context.client()?;
    let pushed = waiting(&context.output, "pushing", client.call::<ReviewPush>(params)).await?;
    context.output.reply(&pushed, |paint| sent(&pushed, paint))?;
    Ok(0)
}

async fn suggestions(context: &Context, at: RepoSelector, args: ReviewSuggestionsArgs) -> Ending {
    let params = ReviewSuggestionsParams {
        at,
        number: args.number.map(ReviewNumber::Text),
        apply: args.apply,
        ids: args.id,
        agent_id: context.agent(args.agent_id),
    };
    let client = context.client()?;
    let asked = client.call::<ReviewSuggestions>(params);
    let answer = waiting(&context.output, "asking the host", asked).await?;
    context.output.reply(&answer, |paint| suggested(&answer, paint))?;
    Ok(0)
}

fn suggested(answer: &ReviewSuggested, paint: Painter) -> String {
    let mut text = String::new();
    for suggestion in &answer.suggestions {
        let state = match suggestion.state {
            SuggestionState::Open => paint.cyan("open"),
            SuggestionState::Applied => paint.green("applied"),
            SuggestionState::Outdated => paint.yellow("outdated"),
        };
        let lines = match (suggestion.from_line, suggestion.to_line) {
            (Some(from), Some(to)) if from != to => format!(":{from}-{to}"),
            (_, Some(line)) => format!(":{line}"),
            _ => String::new(),
        };
        let author = suggestion.author.as_deref().unwrap_or("somebody");
        text += &format!(
            "{state} {}{lines} by {} {}\n",
            paint.bold(&one_line(&suggestion.path)),
            one_line(author),
            paint.dim(&format!("({})", suggestion.comment)),
        );
        for line in suggestion.text.lines() {
            text += &format!("  {}\n", printable(line));
        }
    }
    if answer.suggestions.is_empty() {
        return format!("no suggestions in the comments of {}", one_line(&answer.worktree));
    }
    match answer.commits {
        0 => text,
        made => {
            text + &format!(
                "{} {} in {}",
                paint.green("✓"),
                count(u64::from(made), "commit"),
                one_line(&answer.worktree)
            )
        }
    }
}

fn shown(opened: &WorktreeReviewed, entered: bool, paint: Painter) -> String {
    let what = match (opened.created, opened.updated) {
        (true, _) => "opened",
        (false, true) => "updated",
        (false, false) => "entered",
    };
    let review = &opened.review;
    let mut text = format!(
        "{} {} {what} {}\n",
        paint.green("✓"),
        paint.bold(&one_line(&opened.worktree.name)),
        paint.dim(&format!("({:.0} ms)", opened.elapsed_ms)),
    );
    if let Some(title) = &review.title {
        let author = review.author.as_deref().map(|author| format!(" by {}", one_line(author)));
        text += &format!("  {}{}\n", one_line(title), author.unwrap_or_default());
    }
    if let Some(url) = &review.url {
        text += &format!("  {}\n", one_line(url));
    }
    text += &format!("  {}\n", printable(&opened.worktree.path));
    for note in &opened.notes {
        text += &format!("{} {}\n", paint.yellow("note:"), printable(note));
    }
    text + &cd_hint(&opened.worktree, entered, paint)
}

fn sent(pushed: &ReviewPushed, paint: Painter) -> String {
    format!(
        "{} {} of {} pushed to branch {} of {}",
        paint.green("✓"),
        count(u64::from(pushed.commits), "commit"),
        paint.bold(&one_line(&pushed.worktree)),
        one_line(&pushed.branch),
        one_line(&pushed.to),
    )
}
