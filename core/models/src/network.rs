//! The Llama network: loading it, and running tokens through it.
//!
//! Architecture: Touvron et al., "LLaMA" (2023), with grouped-query attention; positions by rotation
//! (Su et al., "RoFormer", 2021) of adjacent pairs, as GGUF files of this architecture are laid out.

use crate::cache::ModelCache;
use crate::catalogue::{CatalogueEntry, ChatTemplate};
use crate::chat::{ChatMl, Message};
use crate::error::{ModelError, Result};
use crate::gguf::Gguf;
use crate::matrix::{Activations, Matrix};
use crate::region::Region;
use crate::tokenizer::Tokenizer;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;

/// A model in memory. Clones share it; its memory goes back to the operating system with the last one.
#[derive(Clone)]
pub struct LoadedModel(Arc<Network>);

struct Network {
    sizes: Sizes,
    embedding: Matrix,
    layers: Vec<Layer>,
    output_norm: Vec<f32>,
    /// `None`: the embedding is the output matrix too.
    output: Option<Matrix>,
    tokenizer: Tokenizer,
    chat: ChatMl,
    sha256: String,
}

#[derive(Debug, Clone, Copy)]
struct Sizes {
    width: usize,
    heads: usize,
    key_heads: usize,
    head: usize,
    hidden: usize,
    context: usize,
    epsilon: f32,
    rotation_base: f32,
}

struct Layer {
    attention_norm: Vec<f32>,
    query: Matrix,
    key: Matrix,
    value: Matrix,
    attention_output: Matrix,
    hidden_norm: Vec<f32>,
    gate: Matrix,
    up: Matrix,
    down: Matrix,
}

impl LoadedModel {
    /// Loads a catalogue model from the cache; its bytes are hashed on the way in. Blocking (a fifth of
    /// a second for 100 MB).
    ///
    /// # Errors
    /// Not fetched, damaged (also when only a bit is wrong), or unreadable.
    pub fn load(cache: &ModelCache, entry: &'static CatalogueEntry) -> Result<Self> {
        let path = cache.path(entry);
        if !path.exists() {
            return Err(ModelError::NotFetched { name: entry.name.to_owned() });
        }
        let corrupt =
            |reason: String| ModelError::Corrupt { name: entry.name.to_owned(), path: path.clone(), reason };
        let found =
            std::fs::metadata(&path).map_err(ModelError::io(format!("reading {}", path.display())))?.len();
        let pinned = &entry.source.member;
        if found != pinned.bytes {
            return Err(corrupt(format!("{found} bytes instead of {}", pinned.bytes)));
        }
        let region = Region::read(&path)?;
        let sha256 = hex::encode(Sha256::digest(region.bytes()));
        if sha256 != pinned.sha256 {
            return Err(corrupt(format!("sha256 is {sha256}")));
        }
        match entry.template {
            ChatTemplate::ChatMl => Self::from_region(region, sha256),
        }
    }

    /// Loads any GGUF file of a supported kind. Blocking.
    ///
    /// # Errors
    /// Unreadable or invalid files, and architectures, tokenizers and chat templates that are not
    /// supported.
    pub fn load_file(path: &Path) -> Result<Self> {
        let region = Region::read(path)?;
        let sha256 = hex::encode(Sha256::digest(region.bytes()));
        Self::from_region(region, sha256)
    }

    fn from_region(region: Region, sha256: String) -> Result<Self> {
        let region = Arc::new(region);
        let gguf = Gguf::parse(region.bytes())?;
        let architecture = gguf.string("general.architecture")?;
        if architecture != "llama" {
            return Err(ModelError::Unsupported { reason: format!("its architecture is {architecture}") });
        }
        let tokenizer = Tokenizer::from_gguf(&gguf)?;
        let chat = ChatMl::from_gguf(&gguf, &tokenizer)?;
        let sizes = Sizes::read(&gguf)?;
        let vocabulary = tokenizer.vocabulary_size();
        let matrix = |name: &str, rows, columns| Matrix::load(&gguf, &region, name, rows, columns);
        let output = match gguf.has_tensor("output.weight") {
            true => Some(matrix("output.weight", vocabulary, sizes.width)?),
            false => None,
        };
        let layers = gguf.count("llama.block_count", 1..1000)?;
        let network = Network {
            embedding: matrix("token_embd.weight", vocabulary, sizes.width)?,
            layers: (0..layers)
                .map(|index| Layer::read(&gguf, &region, &sizes, index))
                .collect::<Result<_>>()?,
            output_norm: gguf.floats("output_norm.weight", sizes.width)?,
            output,
            tokenizer,
            chat,
            sizes,
            sha256,
        };
        drop(gguf);
        Ok(Self(Arc::new(network)))
    }

    pub fn tokenizer(&self) -> &Tokenizer {
        &self.0.tokenizer
    }

    /// The ids of a conversation, up to where the assistant's answer begins.
    ///
    /// # Errors
    /// Only on a defect of the encoder; length is checked when a generation starts.
    pub fn encode_conversation(&self, messages: &[Message]) -> Result<Vec<u32>> {
        self.0.chat.conversation(&self.0.tokenizer, messages)
    }

    pub(crate) fn chat(&self) -> ChatMl {
        self.0.chat
    }

    /// Tokens that fit: prompt and answer together.
    pub fn context_length(&self) -> usize {
        self.0.sizes.context
    }

    /// Hash of the file, lower-case hexadecimal: what a saved generation is bound to.
    pub fn sha256(&self) -> &str {
        &self.0.sha256
    }

    pub(crate) fn memory(&self) -> Memory {
        Memory {
            layers: self.0.layers.iter().map(|_| LayerMemory::default()).collect(),
            length: 0,
            work: Workspace::default(),
        }
    }

    /// Runs tokens through the network, after those already in `memory`.
    ///
    /// # Errors
    /// When they do not fit the context, or one is not a token of this model; `memory` is unchanged then.
    pub(crate) fn forward(&self, memory: &mut Memory, tokens: &[u32]) -> Result<()> {
        let sizes = &self.0.sizes;
        let total = memory.length + tokens.len();
        if total > sizes.context {
            return Err(ModelError::ContextOverflow { tokens: total, limit: sizes.context });
        }
        if let Some(id) = tokens.iter().find(|id| **id as usize >= self.0.embedding.rows) {
            return Err(ModelError::InvalidState { reason: format!("{id} is not a token of this model") });
        }
        let Memory { layers, length, work } = memory;
        work.embed(&self.0.embedding, tokens, sizes, *length);
        for (layer, memory) in self.0.layers.iter().zip(layers) {
            layer.attend(sizes, memory, *length, work);
            layer.transform(sizes, work);
        }
        *length = total;
        Ok(())
    }

    /// What the network says about the token after the last one that went through it.
    pub(crate) fn logits<'a>(&self, memory: &'a mut Memory) -> &'a mut [f32] {
        let sizes = &self.0.sizes;
        let work = &mut memory.work;
        let last = work.stream.len().saturating_sub(sizes.width);
        normalise(&work.stream[last..], &self.0.output_norm, sizes.epsilon, &mut work.normal);
        work.activations.quantise(&work.normal, sizes.width);
        let output = self.0.output.as_ref().unwrap_or(&self.0.embedding);
        work.logits.resize(output.rows, 0.0);
        output.multiply(&work.activations, &mut work.logits);
        &mut work.logits
    }
}

impl Sizes {
    fn read(gguf: &Gguf<'_>) -> Result<Self> {
        let width = gguf.count("llama.embedding_length", 1..1 << 16)?;
        let heads = gguf.count("llama.attention.head_count", 1..1 << 10)?;
        let key_heads = gguf.count("llama.attention.head_count_kv", 1..heads + 1)?;
        let head = width / heads;
        let plain = heads * head == width && heads.is_multiple_of(key_heads) && head.is_multiple_of(LANES);
        let rotated = gguf.count("llama.rope.dimension_count", 1..1 << 16)?;
        let scaled = ["llama.rope.scaling.type", "llama.rope.scale_linear"].iter().any(|key| gguf.has(key));
        if !plain || rotated != head || scaled || gguf.has_tensor("rope_freqs.weight") {
            return Err(ModelError::Unsupported {
                reason: "its attention is of a kind not known here".to_owned(),
            });
        }
        Ok(Self {
            width,
            heads,
            key_heads,
            head,
            hidden: gguf.count("llama.feed_forward_length", 1..1 << 18)?,
            context: gguf.count("llama.context_length", 1..1 << 20)?,
            epsilon: gguf.float("llama.attention.layer_norm_rms_epsilon")?,
            rotation_base: gguf.float("llama.rope.freq_base")?,
        })
    }

    /// Width of a position's keys, and of its values.
    fn key_width(&self) -> usize {
        self.key_heads * self.head
    }
}

/// What a generation knows of the tokens so far: their keys and values in each layer.
pub(crate) struct Memory {
    layers: Vec<LayerMemory>,
    /// Tokens in here.
    pub(crate) length: usize,
    work: Workspace,
}

#[derive(Default)]
struct LayerMemory {
    keys: Vec<f32>,
    values: Vec<f32>,
}

/// Buffers of one forward pass, kept to be used again. `rows x width` unless said otherwise.
#[derive(Default)]
struct Workspace {
    stream: Vec<f32>,
    normal: Vec<f32>,
    activations: Activations,
    query: Vec<f32>,
    /// `rows x key width`.
    projected: Vec<f32>,
    mixed: Vec<f32>,
    result: Vec<f32>,
    /// `rows x hidden`.
    gate: Vec<f32>,
    up: Vec<f32>,
    scores: Vec<f32>,
    /// (cosine, sine) for each row and pair of a head.
    rotations: Vec<(f32, f32)>,
    logits: Vec<f32>,
}

impl Workspace {
    fn embed(&mut self, embedding: &Matrix, tokens: &[u32], sizes: &Sizes, first: usize) {
        self.stream.resize(tokens.len() * sizes.width, 0.0);
        for (token, row) in tokens.iter().zip(self.stream.chunks_exact_mut(sizes.width)) {
            embedding.decode_row(*token as usize, row);
        }
        self.rotations.clear();
        for position in first..first + tokens.len() {
            self.rotations.extend((0..sizes.head).step_by(2).map(|i| {
                let frequency = sizes.rotation_base.powf(-(i as f32) / sizes.head as f32);
                let (sine, cosine) = (position as f32 * frequency).sin_cos();
                (cosine, sine)
            }));
        }
    }

    fn project(activations: &Activations, rows: usize, matrix: &Matrix, out: &mut Vec<f32>) {
        out.resize(rows * matrix.rows, 0.0);
        matrix.multiply(activations, out);
    }

    fn add_to_stream(&mut self) {
        for (sum, term) in self.stream.iter_mut().zip(&self.result) {
            *sum += term;
        }
    }
}

impl Layer {
    fn read(gguf: &Gguf<'_>, region: &Arc<Region>, sizes: &Sizes, index: usize) -> Result<Self> {
        let name = |part: &str| format!("blk.{index}.{part}.weight");
        let matrix = |part: &str, rows, columns| Matrix::load(gguf, region, &name(part), rows, columns);
        let &Sizes { width, hidden, .. } = sizes;
        Ok(Self {
            attention_norm: gguf.floats(&name("attn_norm"), width)?,
            query: matrix("attn_q", width, width)?,
            key: matrix("attn_k", sizes.key_width(), width)?,
            value: matrix("attn_v", sizes.key_width(), width)?,
            attention_output: matrix("attn_output", width, width)?,
            hidden_norm: gguf.floats(&name("ffn_norm"), width)?,
            gate: matrix("ffn_gate", hidden, width)?,
            up: matrix("ffn_up", hidden, width)?,
            down: matrix("ffn_down", width, hidden)?,
        })
    }

    fn attend(&self, sizes: &Sizes, memory: &mut LayerMemory, first: usize, work: &mut Workspace) {
        let rows = work.stream.len() / sizes.width;
        normalise(&work.stream, &self.attention_norm, sizes.epsilon, &mut work.normal);
        work.activations.quantise(&work.normal, sizes.width);
        Workspace::project(&work.activations, rows, &self.query, &mut work.query);
        rotate(&mut work.query, &work.rotations, sizes.head, sizes.width);
        Workspace::project(&work.activations, rows, &self.key, &mut work.projected);
        rotate(&mut work.projected, &work.rotations, sizes.head, sizes.key_width());
        memory.keys.extend_from_slice(&work.projected);
        Workspace::project(&work.activations, rows, &self.value, &mut work.projected);
        memory.values.extend_from_slice(&work.projected);

        work.mixed.resize(work.stream.len(), 0.0);
        let queries = work.query.chunks_exact(sizes.width);
        for (row, (query, mixed)) in queries.zip(work.mixed.chunks_exact_mut(sizes.width)).enumerate() {
            let heads = query.chunks_exact(sizes.head).zip(mixed.chunks_exact_mut(sizes.head));
            for (head, (query, mixed)) in heads.enumerate() {
                let offset = head / (sizes.heads / sizes.key_heads) * sizes.head;
                attend_head(sizes, memory, offset, first + row + 1, query, &mut work.scores, mixed);
            }
        }
        work.activations.quantise(&work.mixed, sizes.width);
        Workspace::project(&work.activations, rows, &self.attention_output, &mut work.result);
        work.add_to_stream();
    }

    fn transform(&self, sizes: &Sizes, work: &mut Workspace) {
        let rows = work.stream.len() / sizes.width;
        normalise(&work.stream, &self.hidden_norm, sizes.epsilon, &mut work.normal);
        work.activations.quantise(&work.normal, sizes.width);
        Workspace::project(&work.activations, rows, &self.gate, &mut work.gate);
        Workspace::project(&work.activations, rows, &self.up, &mut work.up);
        for (gate, up) in work.gate.iter_mut().zip(&work.up) {
            *gate = *gate / (1.0 + (-*gate).exp()) * up;
        }
        work.activations.quantise(&work.gate, sizes.hidden);
        Workspace::project(&work.activations, rows, &self.down, &mut work.result);
        work.add_to_stream();
    }
}

/// One head of one row over the first `length` positions.
fn attend_head(
    sizes: &Sizes,
    memory: &LayerMemory,
    offset: usize,
    length: usize,
    query: &[f32],
    scores: &mut Vec<f32>,
    mixed: &mut [f32],
) {
    let stride = sizes.key_width();
    let scale = 1.0 / (sizes.head as f32).sqrt();
    scores.clear();
    let keys = memory.keys.chunks_exact(stride).take(length);
    scores.extend(keys.map(|key| inner_product(query, &key[offset..offset + sizes.head]) * scale));
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - largest).exp();
        total += *score;
    }
    for score in scores.iter_mut() {
        *score /= total;
    }
    mixed.fill(0.0);
    for (weight, value) in scores.iter().zip(memory.values.chunks_exact(stride)) {
        for (mixed, value) in mixed.iter_mut().zip(&value[offset..offset + sizes.head]) {
            *mixed += weight * value;
        }
    }
}

/// Partial sums kept apart, so that the compiler can keep them in one vector register. Divides the width
/// of a head.
const LANES: usize = 8;

fn inner_product(left: &[f32], right: &[f32]) -> f32 {
    let mut lanes = [0_f32; LANES];
    for (left, right) in left.as_chunks::<LANES>().0.iter().zip(right.as_chunks::<LANES>().0) {
        for (lane, (left, right)) in lanes.iter_mut().zip(left.iter().zip(right)) {
            *lane += left * right;
        }
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// Root mean square normalisation of each row.
fn normalise(input: &[f32], weights: &[f32], epsilon: f32, out: &mut Vec<f32>) {
    out.resize(input.len(), 0.0);
    for (row, out) in input.chunks_exact(weights.len()).zip(out.chunks_exact_mut(weights.len())) {
        let mean = row.iter().map(|value| value * value).sum::<f32>() / row.len() as f32;
        let factor = 1.0 / (mean + epsilon).sqrt();
        for ((value, weight), out) in row.iter().zip(weights).zip(out) {
            *out = value * factor * weight;
        }
    }
}

fn rotate(rows: &mut [f32], rotations: &[(f32, f32)], head: usize, width: usize) {
    for (row, rotations) in rows.chunks_exact_mut(width).zip(rotations.chunks_exact(head / 2)) {
        for head in row.chunks_exact_mut(head) {
            for (pair, (cosine, sine)) in head.chunks_exact_mut(2).zip(rotations) {
                let (left, right) = (pair[0], pair[1]);
                pair[0] = left * cosine - right * sine;
                pair[1] = left * sine + right * cosine;
            }
        }
    }
}
