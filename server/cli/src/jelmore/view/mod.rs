//! An answer on a terminal, laid out while it comes.
//!
//! What is printed stays: text is printed by whole blocks of markdown, a tool's call when its result is there. What is
//! still open shows in the line at the bottom, with time, tokens and cost.

mod blocks;
mod calls;
mod markdown;
mod status;

use podium_protocol::{ItemKind, SessionItem, Usage};

use super::render;
use crate::output::{Failure, Output};
use crate::style::{Painter, printable};
use blocks::{Blocks, Piece};
use calls::Calls;
use status::StatusLine;

/// Widest text, in columns: longer lines are hard to read.
const WIDEST: usize = 100;
const NARROWEST: usize = 20;

/// Prints one session.
pub(super) struct View {
    output: Output,
    paint: Painter,
    blocks: Blocks,
    calls: Calls,
    status: StatusLine,
    /// Something was printed that needs an empty line behind it.
    between: bool,
    thought: Option<String>,
}

impl View {
    /// For a terminal that shows colours; anything else gets the text as it is.
    pub(super) fn of(output: Output) -> Option<Self> {
        let paint = output.painter();
        (paint.paints() && output.draws_progress()).then(|| Self {
            output,
            paint,
            blocks: Blocks::default(),
            calls: Calls::default(),
            status: StatusLine::new(&output),
            between: false,
            thought: None,
        })
    }

    pub(super) fn item(&mut self, item: &SessionItem) -> Result<(), Failure> {
        if item.kind != ItemKind::Thinking {
            self.end_thought(&item.time)?;
        }
        match item.kind {
            ItemKind::Text => {
                let text = printable(&item.text);
                self.status.wrote(&text);
                let pieces = self.blocks.push(&text);
                self.pieces(pieces)?;
                if item.is_final {
                    self.rest()?;
                }
                let doing = self.blocks.open_words();
                self.status.doing(if doing.is_empty() { "writing" } else { doing });
            }
            ItemKind::Thinking => {
                self.thought.get_or_insert_with(|| item.time.clone());
                self.status.doing("thinking");
            }
            ItemKind::ToolCall => {
                self.rest()?;
                self.status.doing(&self.calls.begin(item));
            }
            ItemKind::ToolResult => {
                let line = self.calls.end(item, self.paint);
                self.line(&line)?;
                self.status.doing("waiting for the answer");
            }
            ItemKind::Usage => {
                let usage = item.data.clone().and_then(|data| serde_json::from_value::<Usage>(data).ok());
                self.status.used(usage.unwrap_or_default());
            }
            _ => {
                if let Some(remark) = render::item_remark(item, self.paint) {
                    self.rest()?;
                    self.line(&remark)?;
                }
            }
        }
        Ok(())
    }

    /// Something slow that is no item yet.
    pub(super) fn doing(&mut self, what: &str) {
        self.status.doing(what);
    }

    /// Prints what is open, and takes the line at the bottom away.
    pub(super) fn finish(&mut self) {
        // Who closed the output loses nothing by it.
        let _ = self.rest();
        for line in self.calls.left(self.paint) {
            let _ = self.line(&line);
        }
        self.status.clear();
    }

    fn end_thought(&mut self, now: &str) -> Result<(), Failure> {
        let Some(since) = self.thought.take() else { return Ok(()) };
        let took = calls::duration(&since, now);
        self.line(&self.paint.dim(&format!("thought for {took}")))
    }

    fn rest(&mut self) -> Result<(), Failure> {
        let pieces = self.blocks.finish();
        self.pieces(pieces)
    }

    fn pieces(&mut self, pieces: Vec<Piece>) -> Result<(), Failure> {
        for piece in pieces {
            match piece {
                Piece::Markdown(text) => {
                    let laid_out = markdown::render(&text, width(), self.paint);
                    if !laid_out.is_empty() {
                        self.apart()?;
                        self.print(&laid_out)?;
                        self.between = true;
                    }
                }
                Piece::CodeBegins => self.apart()?,
                Piece::Code(line) => {
                    self.print(&markdown::code_line(&line, self.paint))?;
                    self.between = true;
                }
            }
        }
        Ok(())
    }

    /// A line of its own.
    fn line(&mut self, line: &str) -> Result<(), Failure> {
        if self.between {
            self.apart()?;
        }
        self.print(&format!("{line}\n"))
    }

    fn apart(&mut self) -> Result<(), Failure> {
        if std::mem::take(&mut self.between) { self.print("\n") } else { Ok(()) }
    }

    fn print(&self, text: &str) -> Result<(), Failure> {
        self.status.beside(|| self.output.text(text))
    }
}

/// Columns for text, as the terminal is now.
fn width() -> usize {
    let columns = comfy_table::Table::new().width().map_or(80, usize::from);
    columns.saturating_sub(1).clamp(NARROWEST, WIDEST)
}
