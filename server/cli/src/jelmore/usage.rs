//! What sessions used.

use podium_protocol::{SessionUsageMethod, SessionUsageParams, UsageRow};

use super::args::UsageArgs;
use crate::context::Context;
use crate::output::Ending;
use crate::style::Painter;
use crate::table::Rows;

pub(super) async fn show(context: &Context, args: UsageArgs) -> Ending {
    let client = context.client()?;
    let answer = client.call::<SessionUsageMethod>(SessionUsageParams { days: Some(args.days) }).await?;
    context.output.reply(&answer, |paint| table(&answer.rows, paint))?;
    Ok(0)
}

fn table(rows: &[UsageRow], paint: Painter) -> String {
    if rows.is_empty() {
        return "nothing was used yet".to_owned();
    }
    let titles = ["DAY", "PROVIDER", "WORKTREE", "SESSIONS", "INPUT", "OUTPUT", "COST"];
    let mut table = Rows::new(&titles).right(3).right(4).right(5).right(6);
    for row in rows {
        table.push([
            row.day.clone(),
            row.provider.clone(),
            row.worktree.clone().unwrap_or_default(),
            row.sessions.to_string(),
            row.input_tokens.to_string(),
            row.output_tokens.to_string(),
            row.cost_usd.map_or_else(|| "unknown".to_owned(), |cost| format!("${cost:.4}")),
        ]);
    }
    table.render(paint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_that_nobody_knows_is_not_shown_as_nothing() {
        let row = |provider: &str, cost_usd| UsageRow {
            day: "2026-01-02".into(),
            provider: provider.into(),
            worktree: None,
            sessions: 2,
            input_tokens: 1200,
            output_tokens: 34,
            cost_usd,
        };
        let rows = [row("anthropic", Some(0.0123)), row("openai", None)];
        insta::assert_snapshot!(table(&rows, Painter::new(false)), @r"
        DAY         PROVIDER   SESSIONS  INPUT  OUTPUT     COST
        2026-01-02  anthropic         2   1200      34  $0.0123
        2026-01-02  openai            2   1200      34  unknown
        ");
    }
}
