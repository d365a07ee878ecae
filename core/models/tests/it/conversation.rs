//! Real answers of the real model.

use crate::model;
use podium_models::{ErrorKind, Generation, Message, ModelError, Role, SamplerParams, StopReason};

fn greedy(max_tokens: u32) -> SamplerParams {
    SamplerParams { temperature: 0.0, repeat_penalty: 1.0, max_tokens, ..SamplerParams::default() }
}

fn prompt(text: &str) -> Vec<u32> {
    model().encode_conversation(&[Message::new(Role::User, text)]).unwrap()
}

fn tokens(generation: &mut Generation) -> Vec<u32> {
    std::iter::from_fn(|| generation.next_token().unwrap().token).collect()
}

#[test]
fn the_most_likely_tokens_are_those_of_candles_own_network() {
    // From candle-transformers' quantized_llama over the same file; after these, rounding decides.
    let mut generation =
        Generation::start(model(), prompt("What is the capital of France?"), greedy(7)).unwrap();
    assert_eq!(tokens(&mut generation), [60, 23, 39614, 1141, 552, 28, 2618]);
}

#[test]
fn deltas_join_to_the_text_of_the_turn() {
    let mut generation =
        Generation::start(model(), prompt("Write a line with an emoji."), greedy(24)).unwrap();
    let mut text = String::new();
    let done = loop {
        let step = generation.next_token().unwrap();
        text += &step.text_delta;
        if let Some(done) = step.done {
            break done;
        }
    };
    assert!(!text.is_empty());
    assert_eq!(text, generation.turn_text());
    if generation.state().step == 24 {
        assert_eq!(done, StopReason::Length);
    }
    let after = generation.next_token().unwrap();
    assert_eq!((after.token, after.text_delta.as_str(), after.done), (None, "", Some(done)));
}

#[test]
fn a_second_turn_continues_the_first() {
    let mut generation = Generation::start(model(), prompt("My name is Ada."), greedy(6)).unwrap();
    tokens(&mut generation);
    let before = generation.state().position();
    generation.extend_turn(&[Message::new(Role::User, "What is my name?")]).unwrap();
    assert_eq!(generation.state().done, None);
    assert!(!tokens(&mut generation).is_empty());
    let modes: Vec<_> = generation.state().segments.iter().map(|segment| segment.mode).collect();
    assert_eq!(modes.len(), 4);
    assert!(generation.state().position() > before);
}

#[test]
fn prefill_reports_progress_and_can_be_stopped_and_continued() {
    let long = prompt(&"word ".repeat(180));
    let params = greedy(3);
    let mut plain = Generation::start(model(), long.clone(), params.clone()).unwrap();
    let expected = tokens(&mut plain);

    let mut generation = Generation::start(model(), long.clone(), params).unwrap();
    let mut seen = Vec::new();
    let stopped = generation.prefill(&mut |done, total| {
        seen.push((done, total));
        seen.len() < 2
    });
    assert!(matches!(stopped, Err(ModelError::Cancelled)));
    assert_eq!(seen, [(64, long.len() - 1), (128, long.len() - 1)]);
    assert_eq!(tokens(&mut generation), expected);
}

#[test]
fn what_does_not_fit_the_context_is_refused() {
    let limit = model().context_length();
    let Err(error) = Generation::start(model(), vec![20; limit], greedy(1)) else {
        panic!("it was accepted")
    };
    assert!(matches!(error, ModelError::ContextOverflow { .. }));
    assert_eq!(error.kind(), ErrorKind::User);
    assert!(!error.hints().is_empty());
}

#[test]
fn unusable_prompts_and_parameters_are_refused() {
    let vocabulary = u32::try_from(model().tokenizer().vocabulary_size()).unwrap();
    let cases = [
        (vec![], greedy(1)),
        (vec![vocabulary], greedy(1)),
        (vec![20], SamplerParams { top_p: f32::NAN, ..greedy(1) }),
    ];
    for (prompt, params) in cases {
        let Err(error) = Generation::start(model(), prompt, params) else { panic!("it was accepted") };
        assert_eq!(error.kind(), ErrorKind::User);
    }
}

#[test]
fn generations_on_several_threads_do_not_disturb_each_other() {
    let run = |seed| {
        let params = SamplerParams { seed, max_tokens: 10, ..SamplerParams::default() };
        tokens(&mut Generation::start(model(), prompt("Tell me a story."), params).unwrap())
    };
    let alone: Vec<_> = (0..3).map(run).collect();
    let together: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|seed| scope.spawn(move || run(seed))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(alone, together);
}
