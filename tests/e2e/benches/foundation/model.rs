//! The embedded model by itself, beside what the memory allows: each token reads all weights once.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};
use podium_harness::{MODEL, TestEnvironment};
use podium_models::{Generation, LoadedModel, SamplerParams};

use crate::Effort;
use crate::report::{Figure, Row};
use crate::stats::{Samples, median};

const RUNS: usize = 5;
const PROMPT: usize = 64;
const LONG_PROMPT: usize = 1000;
const TOKENS: u32 = 128;

pub(crate) fn measure(effort: Effort) -> Result<Vec<Row>> {
    let environment = TestEnvironment::with_model();
    let file = environment.home().models().join(MODEL);
    podium_process::cpu::supported().map_err(anyhow::Error::msg)?;
    let (mut load, mut first, mut long) = (Samples::default(), Samples::default(), Samples::default());
    let (mut read, mut speeds, mut bounds) = (Samples::default(), Vec::new(), Vec::new());
    for _ in 0..effort.times(RUNS) {
        let bytes = read.time(|| std::fs::read(&file))?;
        bounds.push(passes_per_second(&bytes));
        drop(bytes);
        let model = load.time(|| LoadedModel::load_file(&file))?;
        speeds.push(answer(&model, PROMPT, TOKENS, &mut first)?);
        answer(&model, LONG_PROMPT, 1, &mut long)?;
    }
    let rate = |rates: &[f64]| Figure::of(median(rates), "tokens/s", rates.len());
    Ok(vec![
        Row::new("answer of 128 tokens", rate(&speeds))
            .peer("memory's bound", rate(&bounds))
            .at_least(50.0)
            .note(format!("{}, one thread; bound: reading the whole file once a token", name(&file))),
        Row::new("first token, prompt of 64", Figure::ms(&first)).at_most(1000.0),
        Row::new("first token, prompt of 1000", Figure::ms(&long)),
        Row::new("load", Figure::ms(&load)).peer("reading the file", Figure::ms(&read)),
    ])
}

/// Generates; gives tokens a second behind the first one.
fn answer(model: &LoadedModel, prompt: usize, tokens: u32, first: &mut Samples) -> Result<f64> {
    let mut ids = model.tokenizer().encode(&"Tell me about the sea and the wind. ".repeat(prompt))?;
    ids.truncate(prompt);
    let params = SamplerParams { max_tokens: tokens, ..SamplerParams::default() };
    let mut generation = Generation::start(model, ids, params)?;
    first.time(|| generation.next_token())?.token.context("no token came")?;
    let start = Instant::now();
    let mut drawn = 0;
    while generation.next_token()?.token.is_some() {
        drawn += 1;
    }
    Ok(f64::from(drawn) / start.elapsed().as_secs_f64())
}

/// How often one thread gets through these bytes in a second.
fn passes_per_second(bytes: &[u8]) -> f64 {
    const PASSES: u32 = 5;
    let start = Instant::now();
    for _ in 0..PASSES {
        let words = bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()));
        black_box(words.fold(0u64, u64::wrapping_add));
    }
    f64::from(PASSES) / start.elapsed().as_secs_f64()
}

fn name(file: &Path) -> String {
    file.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
