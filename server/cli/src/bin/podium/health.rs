//! `podium doctor`.

use podium_cli::context::Context;
use podium_cli::output::Ending;
use podium_cli::progress::waiting;
use podium_cli::style::{Painter, one_line, printable};
use podium_protocol::{Doctor, DoctorParams, DoctorReport, Part, PartState, WireError};

/// Asks the daemon; where none can be had, that is the finding.
pub(crate) async fn doctor(context: &Context) -> Ending {
    let client = context.client()?;
    let report = match waiting(&context.output, "examining", client.call::<Doctor>(DoctorParams {})).await {
        Ok(report) => report,
        Err(error) => DoctorReport { parts: vec![no_daemon(&error)] },
    };
    context.output.reply(&report, |paint| render(&report, paint))?;
    Ok(0)
}

fn no_daemon(error: &WireError) -> Part {
    Part {
        name: "daemon".to_owned(),
        state: PartState::Broken,
        message: error.message.clone(),
        hint: error
            .hints
            .first()
            .cloned()
            .unwrap_or_else(|| "`podium daemon --foreground` shows why".to_owned()),
    }
}

fn render(report: &DoctorReport, paint: Painter) -> String {
    let width = report.parts.iter().map(|p| p.name.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for part in &report.parts {
        let state = match part.state {
            PartState::Ok => paint.green("ok      "),
            PartState::Degraded => paint.yellow("degraded"),
            PartState::Broken => paint.red("broken  "),
            PartState::Off => paint.dim("off     "),
        };
        text += &format!("{state}  {:width$}  {}\n", one_line(&part.name), printable(&part.message));
        if !part.hint.is_empty() {
            text += &format!("          {} {}\n", paint.cyan("hint:"), printable(&part.hint));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_has_its_state_and_what_to_do() {
        let part = |name: &str, state, message: &str, hint: &str| Part {
            name: name.into(),
            state,
            message: message.into(),
            hint: hint.into(),
        };
        let report = DoctorReport {
            parts: vec![
                part("store", PartState::Ok, "schema 3, 1.2 MB", ""),
                part("local model", PartState::Degraded, "not on this machine", "podium models fetch"),
                no_daemon(&WireError::unavailable("no answer")),
                part("rabbitmq", PartState::Off, "not configured", ""),
            ],
        };
        insta::assert_snapshot!(render(&report, Painter::new(false)));
    }
}
