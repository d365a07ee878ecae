//! The inbox, and answers that last.

use jiff::Timestamp;
use podium_protocol::{InboxDecision, InboxItem, PermissionGrant};

use crate::style::{Painter, one_line};
use crate::table::Rows;
use crate::time::ago;

pub(in crate::jelmore) fn inbox(items: &[InboxItem], now: Timestamp, paint: Painter) -> String {
    if items.is_empty() {
        return "no open questions".to_owned();
    }
    let mut rows = Rows::new(&["ID", "AGE", "AGENT", "ANSWER", "QUESTION"]);
    for item in items {
        let answer = match item.decision {
            None if item.withdrawn_at.is_some() => "withdrawn",
            None => "",
            Some(InboxDecision::Allow) => "allowed",
            Some(InboxDecision::Deny) => "denied",
        };
        let age = ago(&item.asked_at, now);
        rows.push([item.id.clone(), age, item.agent_id.clone(), answer.into(), item.question.clone()]);
    }
    let mut text = rows.render(paint);
    if items.iter().any(InboxItem::is_open) {
        text += &format!("\n{} jelmore inbox answer ID allow|deny", paint.cyan("hint:"));
    }
    text
}

/// Lines of a question's detail that are shown.
const DETAIL_LINES: usize = 60;

/// One question with all that it is about.
pub(in crate::jelmore) fn question(item: &InboxItem, now: Timestamp, paint: Painter) -> String {
    let age = ago(&item.asked_at, now);
    let mut text =
        format!("{} {} {}", paint.bold(&one_line(&item.agent_id)), one_line(&item.question), paint.dim(&age));
    let detail = item.detail.as_deref().unwrap_or_default();
    for line in detail.lines().take(DETAIL_LINES) {
        text += &format!("\n  {}", one_line(line));
    }
    if detail.lines().count() > DETAIL_LINES {
        text += &paint.dim("\n  ...");
    }
    let by = item.answered_by.as_deref().map(|by| format!(" by {}", one_line(by))).unwrap_or_default();
    text += &match (item.decision, &item.withdrawn_at) {
        (Some(InboxDecision::Allow), _) => paint.green(&format!("\n  allowed{by}")),
        (Some(InboxDecision::Deny), _) => paint.red(&format!("\n  denied{by}")),
        (None, Some(_)) => paint.dim("\n  withdrawn"),
        (None, None) => {
            format!("\n  {} jelmore inbox answer {} allow|deny{}", paint.cyan("hint:"), item.id, scopes(item))
        }
    };
    text
}

fn scopes(item: &InboxItem) -> String {
    let beyond: Vec<&str> = item.options.iter().map(|scope| scope.as_str()).collect();
    if beyond.len() < 2 { String::new() } else { format!(" [--scope {}]", beyond.join("|")) }
}

pub(in crate::jelmore) fn grants(grants: &[PermissionGrant], now: Timestamp, paint: Painter) -> String {
    if grants.is_empty() {
        return "no lasting answers".to_owned();
    }
    let mut rows = Rows::new(&["ID", "AGE", "HOLDS FOR", "ANSWER", "TOOL", "ABOUT"]);
    for grant in grants {
        let place = match (&grant.session, &grant.repo) {
            (Some(session), _) => format!("session {session}"),
            (_, Some(repo)) => format!("repository {repo}"),
            _ => String::new(),
        };
        let about = grant.command.clone().or(grant.path.clone()).unwrap_or_else(|| "anything".to_owned());
        let age = ago(&grant.granted_at, now);
        rows.push([grant.id.clone(), age, place, grant.decision.as_str().into(), grant.tool.clone(), about]);
    }
    rows.render(paint) + &format!("\n{} jelmore inbox forget ID", paint.cyan("hint:"))
}
