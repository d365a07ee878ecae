//! Pull requests in worktrees of their own.

use podium_protocol::{
    RepoSelector, ReviewNumber, ReviewPush, ReviewPushParams, ReviewPushed, WorktreeReview,
    WorktreeReviewParams, WorktreeReviewed,
};

use super::args::{ReviewArgs, ReviewCommand, ReviewPushArgs};
use super::render::cd_hint;
use super::worktrees::{enter, print_path};
use crate::context::Context;
use crate::output::Ending;
use crate::progress::waiting;
use crate::style::{Painter, count, one_line, printable};

pub(super) async fn run(context: &Context, at: RepoSelector, args: ReviewArgs) -> Ending {
    if let Some(ReviewCommand::Push(push)) = args.command {
        return self::push(context, at, push).await;
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
