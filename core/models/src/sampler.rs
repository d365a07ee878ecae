//! Drawing the next token.

use crate::error::{ModelError, Result};
use serde::{Deserialize, Serialize};

/// How tokens are drawn. With the same parameters, model and prompt, the same tokens are drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SamplerParams {
    pub seed: u64,
    /// 0 takes the most likely token always; 1 samples the model's own distribution.
    pub temperature: f32,
    /// Only the so many most likely tokens; 0 for all.
    pub top_k: u32,
    /// Only the most likely tokens that together have this probability; 1 for all.
    pub top_p: f32,
    /// Divides the likelihood of tokens that occurred lately; 1 for none.
    pub repeat_penalty: f32,
    /// Tokens to generate at most, per turn.
    pub max_tokens: u32,
}

impl Default for SamplerParams {
    fn default() -> Self {
        Self { seed: 0, temperature: 0.7, top_k: 40, top_p: 0.9, repeat_penalty: 1.1, max_tokens: 512 }
    }
}

impl SamplerParams {
    /// # Errors
    /// [`ModelError::InvalidParameter`] naming the first value outside its range.
    pub fn validate(&self) -> Result<()> {
        let problem = if !(0.0..=10.0).contains(&self.temperature) {
            format!("temperature {} is not between 0 and 10", self.temperature)
        } else if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            format!("top_p {} is not above 0 and at most 1", self.top_p)
        } else if !(0.1..=10.0).contains(&self.repeat_penalty) {
            format!("repeat_penalty {} is not between 0.1 and 10", self.repeat_penalty)
        } else if self.max_tokens == 0 {
            "max_tokens is 0".to_owned()
        } else {
            return Ok(());
        };
        Err(ModelError::InvalidParameter { reason: problem })
    }

    /// Draws from `logits`, which it changes. `recent`: tokens to be penalised; `step`: how many tokens
    /// were drawn before, which together with the seed is the whole state of the random numbers.
    pub(crate) fn draw(&self, logits: &mut [f32], recent: &[u32], step: u64) -> u32 {
        self.penalise(logits, recent);
        if self.temperature == 0.0 {
            return most_likely(logits);
        }
        let mut candidates: Vec<(u32, f32)> = (0_u32..).zip(logits.iter().copied()).collect();
        // Ties fall to the lower id, so that the order, and with it the draw, is always the same.
        let order =
            |left: &(u32, f32), right: &(u32, f32)| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0));
        let keep = self.top_k as usize;
        if keep > 0 && keep < candidates.len() {
            candidates.select_nth_unstable_by(keep - 1, order);
            candidates.truncate(keep);
        }
        candidates.sort_unstable_by(order);
        self.draw_from(&mut candidates, uniform(self.seed, step))
    }

    fn penalise(&self, logits: &mut [f32], recent: &[u32]) {
        if self.repeat_penalty == 1.0 {
            return;
        }
        let mut seen: Vec<u32> = recent.to_vec();
        seen.sort_unstable();
        seen.dedup();
        for id in seen {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit =
                    if *logit > 0.0 { *logit / self.repeat_penalty } else { *logit * self.repeat_penalty };
            }
        }
    }

    /// `candidates` sorted by falling logit; `uniform` in [0, 1).
    fn draw_from(&self, candidates: &mut [(u32, f32)], uniform: f64) -> u32 {
        let largest = candidates.first().map_or(0.0, |candidate| candidate.1);
        let mut total = 0.0;
        for (_, logit) in candidates.iter_mut() {
            *logit = ((*logit - largest) / self.temperature).exp();
            total += f64::from(*logit);
        }
        let kept_mass = total * f64::from(self.top_p);
        let mut kept = 0.0;
        let mut count = 0;
        for (_, mass) in candidates.iter() {
            kept += f64::from(*mass);
            count += 1;
            if kept >= kept_mass {
                break;
            }
        }
        let mut left = uniform * kept;
        for (id, mass) in &candidates[..count] {
            left -= f64::from(*mass);
            if left < 0.0 {
                return *id;
            }
        }
        candidates[..count].last().map_or(0, |candidate| candidate.0)
    }
}

fn most_likely(logits: &[f32]) -> u32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (id, logit) in (0_u32..).zip(logits) {
        if *logit > best.1 {
            best = (id, *logit);
        }
    }
    best.0
}

/// A number in [0, 1) that depends on nothing but seed and step: the SplitMix64 output function (Steele,
/// Lea and Flood, 2014) over a counter, so there is no generator state to save.
fn uniform(seed: u64, step: u64) -> f64 {
    let mix = |value: u64| {
        let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ value >> 31
    };
    let stream = mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15));
    let bits = mix(stream.wrapping_add(step.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params() -> SamplerParams {
        SamplerParams {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            repeat_penalty: 1.0,
            ..SamplerParams::default()
        }
    }

    #[test]
    fn draws_follow_the_distribution() {
        let mut counts = [0_u32; 3];
        for step in 0..20_000 {
            let mut logits = [0.5_f32.ln(), 0.3_f32.ln(), 0.2_f32.ln()];
            counts[params().draw(&mut logits, &[], step) as usize] += 1;
        }
        for (count, expected) in counts.iter().zip([10_000_f64, 6_000.0, 4_000.0]) {
            assert!((f64::from(*count) - expected).abs() < 300.0, "{counts:?}");
        }
    }

    #[test]
    fn limits_exclude_the_unlikely() {
        for step in 0..500 {
            let mut logits = [1.0, 3.0, 2.0, 0.0];
            let two = SamplerParams { top_k: 2, ..params() };
            assert!(matches!(two.draw(&mut logits.clone(), &[], step), 1 | 2));
            let half = SamplerParams { top_p: 0.5, ..params() };
            assert_eq!(half.draw(&mut logits.clone(), &[], step), 1);
            let greedy = SamplerParams { temperature: 0.0, ..params() };
            assert_eq!(greedy.draw(&mut logits, &[], step), 1);
        }
    }

    #[test]
    fn repeated_tokens_lose() {
        let greedy = SamplerParams { temperature: 0.0, repeat_penalty: 2.0, ..params() };
        assert_eq!(greedy.draw(&mut [3.0, 2.0, -1.0], &[0, 0], 0), 1);
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        let bad = [
            SamplerParams { temperature: -1.0, ..params() },
            SamplerParams { temperature: f32::NAN, ..params() },
            SamplerParams { top_p: 0.0, ..params() },
            SamplerParams { repeat_penalty: 0.0, ..params() },
            SamplerParams { max_tokens: 0, ..params() },
        ];
        for params in bad {
            assert!(matches!(params.validate(), Err(ModelError::InvalidParameter { .. })), "{params:?}");
        }
    }
}
