//! One file for each group of LSP methods. What a handler does before its first `await` happens in the order in
//! which messages arrive; everything slow comes after it.

mod code_action;
mod code_lens;
mod custom;
mod execute_command;
mod initialize;
mod melody;
mod text_sync;
mod workspace_folders;
mod workspace_symbol;

pub(crate) use code_action::code_action;
pub(crate) use code_lens::{code_lens, resolve_code_lens};
pub(crate) use custom::register;
pub(crate) use execute_command::execute_command;
pub(crate) use initialize::{initialize, initialized, shutdown};
pub(crate) use melody::{
    completion, definition, document_symbol, folding_range, formatting, hover, prepare_rename, references,
    rename,
};
pub(crate) use text_sync::{did_change, did_close, did_open, did_save};
pub(crate) use workspace_folders::did_change_folders;
pub(crate) use workspace_symbol::workspace_symbol;
