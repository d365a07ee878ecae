//! Measures the local model: `speed GGUF_FILE [PROMPT_TOKENS] [TOKENS]`, one JSON object.

use podium_models::{Generation, LoadedModel, SamplerParams};
use std::path::Path;
use std::time::Instant;

#[expect(clippy::print_stdout, reason = "an example that prints its result")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    podium_process::cpu::supported()?;
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("usage: speed GGUF_FILE [PROMPT_TOKENS] [TOKENS]")?;
    let prompt_tokens: usize = arguments.next().map_or(Ok(64), |count| count.parse())?;
    let tokens: u32 = arguments.next().map_or(Ok(128), |count| count.parse())?;
    let rss_before = rss_bytes();

    let start = Instant::now();
    let model = LoadedModel::load_file(Path::new(&file))?;
    let load_ms = start.elapsed().as_secs_f64() * 1e3;

    let mut prompt =
        model.tokenizer().encode(&"Tell me about the sea and the wind. ".repeat(prompt_tokens))?;
    prompt.truncate(prompt_tokens);
    let params = SamplerParams { max_tokens: tokens, ..SamplerParams::default() };
    let mut generation = Generation::start(&model, prompt, params)?;
    let start = Instant::now();
    generation.next_token()?;
    let first_token_ms = start.elapsed().as_secs_f64() * 1e3;
    let start = Instant::now();
    let mut drawn = 0;
    while generation.next_token()?.token.is_some() {
        drawn += 1;
    }
    let tokens_per_s = f64::from(drawn) / start.elapsed().as_secs_f64();
    let rss = rss_bytes();
    drop(generation);
    drop(model);
    let result = serde_json::json!({
        "load_ms": load_ms, "first_token_ms": first_token_ms, "prompt_tokens": prompt_tokens,
        "tokens": drawn, "tokens_per_s": tokens_per_s,
        "rss": rss, "rss_before": rss_before, "rss_after_drop": rss_bytes(),
    });
    println!("{result}");
    Ok(())
}

/// Resident memory of this process in bytes; 0 where /proc does not tell.
fn rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
