//! Progress on standard error, for terminals only.

use std::borrow::Cow;
use std::future::Future;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::Output;

/// Silence before a spinner appears: what is quick needs none.
const PATIENCE: Duration = Duration::from_millis(700);
const TICK: Duration = Duration::from_millis(120);

/// Waits for something, with a spinner once it takes long.
pub async fn waiting<F: Future>(
    output: &Output,
    message: impl Into<Cow<'static, str>>,
    work: F,
) -> F::Output {
    if !output.draws_progress() {
        return work.await;
    }
    let mut work = std::pin::pin!(work);
    tokio::select! {
        answer = &mut work => return answer,
        () = tokio::time::sleep(PATIENCE) => {}
    }
    let bar = spinner(output, message);
    let answer = work.await;
    bar.finish_and_clear();
    answer
}

/// A spinner that turns at once.
pub fn spinner(output: &Output, message: impl Into<Cow<'static, str>>) -> ProgressBar {
    if !output.draws_progress() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_style(style("{spinner} {msg} {elapsed}")).with_message(message);
    bar.enable_steady_tick(TICK);
    bar
}

/// A bar of bytes.
pub fn bytes(output: &Output, message: impl Into<Cow<'static, str>>) -> ProgressBar {
    if !output.draws_progress() {
        return ProgressBar::hidden();
    }
    let template = "{spinner} {msg} {bar:24} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    let bar = ProgressBar::new(0).with_style(style(template)).with_message(message);
    bar.enable_steady_tick(TICK);
    bar
}

/// A bar of pieces of an answer, with the newest words behind it.
pub fn pieces(output: &Output, total: u64) -> ProgressBar {
    if !output.draws_progress() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total).with_style(style("{spinner} {bar:24} {pos}/{len} {wide_msg}"));
    bar.enable_steady_tick(TICK);
    bar
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants; a wrong one is seen by the test below, and shows as the default style.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("█▓░")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_valid() {
        for template in ["{spinner} {msg} {elapsed}", "{spinner} {bar:24} {pos}/{len} {wide_msg}"] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
