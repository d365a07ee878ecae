//! Shows each step as it happens, and keeps what came of it.

use std::future::Future;
use std::time::Instant;

use indicatif::ProgressBar;
use podium_cli::output::{Failure, Output};
use podium_cli::progress;
use podium_cli::style::one_line;
use podium_cli::time::duration;

use super::report::{StepReport, TryReport};

pub(super) struct Show {
    pub(super) output: Output,
    pub(super) report: TryReport,
    bar: Option<ProgressBar>,
}

impl Show {
    pub(super) fn new(output: Output) -> Self {
        Self { output, report: TryReport::default(), bar: None }
    }

    /// A step with a spinner. The work gives its result and one sentence about it.
    pub(super) async fn step<T>(
        &mut self,
        name: &'static str,
        work: impl Future<Output = Result<(T, String), Failure>>,
    ) -> Result<T, Failure> {
        let bar = progress::spinner(&self.output, name);
        self.step_with(name, bar, work).await
    }

    /// A step that moves a bar of its own.
    pub(super) async fn step_with<T>(
        &mut self,
        name: &'static str,
        bar: ProgressBar,
        work: impl Future<Output = Result<(T, String), Failure>>,
    ) -> Result<T, Failure> {
        self.bar = Some(bar);
        let began = Instant::now();
        let done = work.await;
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.clear();
        let (ok, detail) = match &done {
            Ok((_, detail)) => (true, detail.clone()),
            Err(Failure::Wire(error)) => (false, error.message.clone()),
            Err(_) => (false, "interrupted".to_owned()),
        };
        self.tell(name, ok, ms, &detail)?;
        self.report.steps.push(StepReport { name, ok, ms, detail });
        done.map(|(value, _)| value)
    }

    fn tell(&self, name: &str, ok: bool, ms: u64, detail: &str) -> Result<(), Failure> {
        if self.output.is_json() {
            return Ok(());
        }
        let paint = self.output.painter();
        let mark = if ok { paint.green("✓") } else { paint.red("✗") };
        let line =
            format!("{mark} {name:24} {} {}\n", one_line(detail), paint.dim(&format!("({})", duration(ms))));
        self.output.text(&line)
    }

    /// Takes a bar that an interruption left from the terminal.
    pub(super) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    pub(super) fn into_report(self) -> TryReport {
        self.report
    }
}
