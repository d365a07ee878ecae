//! Following a run to its end: JSON lines, a live view, or a line for each node.
//!
//! The client comes back by itself when the daemon dies, behind the last change it saw; the next daemon goes on with the
//! run whether somebody follows or not.

use std::collections::BTreeMap;

use indicatif::ProgressBar;
use podium_cli::context::Context;
use podium_cli::interrupt::Interrupts;
use podium_cli::output::{EXIT_AGAIN, EXIT_SIGINT, Ending, Failure, Output};
use podium_cli::progress;
use podium_client::Client;
use podium_protocol::{
    MelodyNode, MelodyNodeState, MelodyRun, MelodyRunStatus, PitAction, PitControl, PitControlParams,
    WireError,
};
use serde_json::{Value, json};

use super::render;

/// Nodes that are told one by one where nobody watches live; of larger runs only the failures are.
const TOLD_EACH: u64 = 200;
/// Names of nodes in the live view.
const SHOWN: usize = 4;

pub(super) struct Follow {
    pub(super) run: String,
    pub(super) from_seq: u64,
    /// This command started it: Ctrl-C cancels it.
    pub(super) own: bool,
}

pub(super) async fn follow(context: &Context, client: &Client, follow: Follow) -> Ending {
    let mut interrupts = Interrupts::listen()?;
    let mut shown = Shown::new(context.output, &follow.run);
    let mut stream = match client.follow_run(&follow.run, follow.from_seq).await {
        Ok(stream) => stream,
        Err(error) => return Err(error.into()),
    };
    shown.begin(&stream.attached().run)?;
    let mut cancelling = false;
    loop {
        tokio::select! {
            update = stream.next() => match update {
                Some(Ok(update)) => {
                    for node in &update.nodes {
                        shown.node(node)?;
                    }
                    if let Some(run) = update.run.as_ref().filter(|run| run.ended_at.is_some()) {
                        return shown.end(run);
                    }
                }
                Some(Err(error)) => return shown.interrupted(&error, stream.last_seq()),
                None => {
                    let error = WireError::unavailable("the stream ended before the run did");
                    return shown.interrupted(&error, stream.last_seq());
                }
            },
            () = interrupts.next() => {
                if cancelling || !follow.own {
                    shown.clear();
                    context.output.note(&format!("the run goes on: podium runs watch {}", shown.run));
                    return Err(Failure::Said(EXIT_SIGINT));
                }
                cancelling = true;
                context.output.note("cancelling; press Ctrl-C again to leave at once");
                cancel(client.clone(), &shown.run, context.output);
            }
        }
    }
}

/// Cancels beside the stream, whose end tells what came of it.
fn cancel(client: Client, run: &str, output: Output) {
    let params = PitControlParams { run: run.to_owned(), action: PitAction::Cancel, node: None };
    tokio::spawn(async move {
        if let Err(error) = client.call::<PitControl>(params).await {
            output.note(&format!("cannot cancel: {}", error.message));
        }
    });
}

/// What was printed.
struct Shown {
    output: Output,
    run: String,
    total: u64,
    bar: ProgressBar,
    ended: BTreeMap<String, MelodyNodeState>,
    running: Vec<String>,
}

impl Shown {
    fn new(output: Output, run: &str) -> Self {
        let bar = ProgressBar::hidden();
        Self { output, run: run.to_owned(), total: 0, bar, ended: BTreeMap::new(), running: Vec::new() }
    }

    fn begin(&mut self, run: &MelodyRun) -> Result<(), Failure> {
        (self.run, self.total) = (run.id.clone(), run.nodes.total);
        if self.output.is_json() {
            return self.output.line(&json!({ "type": "run", "run": run.id, "name": run.name }));
        }
        self.output.note(&format!("{}: run {}", podium_cli::style::one_line(&run.name), run.id));
        self.bar = progress::pieces(&self.output, run.nodes.total);
        Ok(())
    }

    fn node(&mut self, node: &MelodyNode) -> Result<(), Failure> {
        if self.output.is_json() {
            return self.output.line(&line(node));
        }
        self.running.retain(|running| *running != node.id);
        if matches!(node.state, MelodyNodeState::Executing | MelodyNodeState::Retrying) {
            self.running.push(node.id.clone());
        }
        let is_end = matches!(
            node.state,
            MelodyNodeState::Completed
                | MelodyNodeState::Failed
                | MelodyNodeState::Skipped
                | MelodyNodeState::Cancelled
        );
        if is_end && !node.id.contains('[') {
            self.ended.insert(node.id.clone(), node.state);
        }
        self.bar.set_position(self.ended.len() as u64);
        self.bar.set_message(self.names());
        let is_failure = matches!(node.state, MelodyNodeState::Failed | MelodyNodeState::Retrying);
        if is_failure || (is_end && self.total <= TOLD_EACH) {
            let text = render::node(node, self.output.painter());
            return self.bar.suspend(|| self.output.text(&text));
        }
        Ok(())
    }

    fn names(&self) -> String {
        let shown: Vec<&str> = self.running.iter().take(SHOWN).map(String::as_str).collect();
        let more = self.running.len().saturating_sub(SHOWN);
        if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn end(&self, run: &MelodyRun) -> Ending {
        self.clear();
        if self.output.is_json() {
            self.output.line(&end_line(run))?;
        } else {
            self.output.text(&render::end(run, self.output.painter()))?;
        }
        Ok(u8::from(run.status != MelodyRunStatus::Completed))
    }

    fn interrupted(&self, error: &WireError, from_seq: u64) -> Ending {
        self.clear();
        let resume = format!("podium runs watch {} --from-seq {from_seq}", self.run);
        if self.output.is_json() {
            let end = json!({
                "type": "end", "run": self.run, "status": "interrupted", "resume": resume, "error": error,
            });
            self.output.line(&end)?;
        } else {
            self.output.note(&format!("{}; go on with: {resume}", error.message));
        }
        Err(Failure::Said(EXIT_AGAIN))
    }
}

fn line(node: &MelodyNode) -> Value {
    let mut line = serde_json::to_value(node).unwrap_or_default();
    line["type"] = json!("node");
    line
}

fn end_line(run: &MelodyRun) -> Value {
    json!({
        "type": "end", "run": run.id, "status": run.status, "nodes": run.nodes, "outputs": run.outputs,
        "elapsedMs": run.elapsed_ms, "error": run.error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_node_says_which_and_how_it_is() {
        let node = MelodyNode {
            id: "a".into(),
            state: MelodyNodeState::Completed,
            attempt: 1,
            seq: 4,
            started_at: None,
            duration_ms: Some(1.5),
            error: None,
            session: None,
        };
        let expected = json!({
            "type": "node", "id": "a", "state": "completed", "attempt": 1, "seq": 4, "durationMs": 1.5,
        });
        assert_eq!(line(&node), expected);
    }
}
