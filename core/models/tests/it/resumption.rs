//! A generation saved after any token and taken up again goes on as if nothing had happened.

use crate::model;
use podium_models::{
    ErrorKind, Generation, GenerationState, Message, ModelError, Role, SamplerParams, Segment, SegmentMode,
};

const TOKENS: u32 = 24;

fn params() -> SamplerParams {
    SamplerParams { seed: 42, temperature: 0.9, max_tokens: TOKENS, ..SamplerParams::default() }
}

fn start() -> Generation {
    let question = "Write one sentence about naïve café owners in 東京. ".repeat(3);
    let prompt = model().encode_conversation(&[Message::new(Role::User, question)]).unwrap();
    assert!(prompt.len() > podium_models::PREFILL_BATCH, "the prompt takes several batches");
    Generation::start(model(), prompt, params()).unwrap()
}

/// Tokens and text until the end of the turn.
fn rest(generation: &mut Generation) -> (Vec<u32>, String) {
    let (mut tokens, mut text) = (Vec::new(), String::new());
    loop {
        let step = generation.next_token().unwrap();
        tokens.extend(step.token);
        text += &step.text_delta;
        if step.done.is_some() {
            return (tokens, text);
        }
    }
}

fn saved_and_loaded(state: &GenerationState) -> GenerationState {
    let json = serde_json::to_vec(state).unwrap();
    assert!(json.len() < 16 * (state.position() + 64), "the state is small");
    serde_json::from_slice(&json).unwrap()
}

#[test]
fn every_cut_continues_with_the_undisturbed_tokens_and_text() {
    let (expected_tokens, expected_text) = rest(&mut start());
    for cut in [0, 1, 2, 7, 13, expected_tokens.len() - 1, expected_tokens.len()] {
        let mut first = start();
        let (mut tokens, mut text) = (Vec::new(), String::new());
        for _ in 0..cut {
            let step = first.next_token().unwrap();
            tokens.extend(step.token);
            text += &step.text_delta;
        }
        let state = saved_and_loaded(first.state());
        drop(first);
        let (more_tokens, more_text) = rest(&mut Generation::resume(model(), state).unwrap());
        tokens.extend(more_tokens);
        assert_eq!(tokens, expected_tokens, "cut after {cut}");
        assert_eq!(text + &more_text, expected_text, "cut after {cut}");
    }
}

#[test]
fn whose_last_token_was_saved_without_the_end_draws_no_more() {
    let mut whole = start();
    let (_, text) = rest(&mut whole);
    let mut state = saved_and_loaded(whole.state());
    state.done = None;
    let mut resumed = Generation::resume(model(), state).unwrap();
    assert_eq!(resumed.turn_text(), text);
    assert_eq!(rest(&mut resumed), (Vec::new(), String::new()));
}

#[test]
fn cutting_again_and_again_changes_nothing() {
    let (expected, _) = rest(&mut start());
    let mut tokens = Vec::new();
    let mut generation = start();
    loop {
        let step = generation.next_token().unwrap();
        tokens.extend(step.token);
        if step.done.is_some() {
            break;
        }
        if tokens.len().is_multiple_of(5) {
            generation = Generation::resume(model(), saved_and_loaded(generation.state())).unwrap();
        }
    }
    assert_eq!(tokens, expected);
}

#[test]
fn a_resumed_conversation_takes_the_same_next_turn() {
    let next = [Message::new(Role::User, "And now in one word.")];
    let mut whole = start();
    rest(&mut whole);
    let saved = saved_and_loaded(whole.state());
    whole.extend_turn(&next).unwrap();
    let expected = rest(&mut whole);

    let mut resumed = Generation::resume(model(), saved).unwrap();
    resumed.extend_turn(&next).unwrap();
    assert_eq!(rest(&mut resumed), expected);
}

#[test]
fn another_seed_gives_another_text() {
    let (expected, _) = rest(&mut start());
    let mut state = start().state().clone();
    state.params.seed += 1;
    assert_ne!(rest(&mut Generation::resume(model(), state).unwrap()).0, expected);
}

#[test]
fn states_of_another_model_and_inconsistent_ones_are_refused() {
    let mut generation = start();
    generation.next_token().unwrap();
    let good = generation.state().clone();
    let vocabulary = u32::try_from(model().tokenizer().vocabulary_size()).unwrap();
    let single = |tokens| Segment { mode: SegmentMode::Single, tokens };
    let cases = [
        GenerationState { model_sha256: "other".to_owned(), ..good.clone() },
        GenerationState { segments: Vec::new(), ..good.clone() },
        GenerationState { step: 7, ..good.clone() },
        GenerationState { segments: vec![single(vec![20])], step: 1, ..good.clone() },
        GenerationState { segments: [good.segments.clone(), vec![single(vec![])]].concat(), ..good.clone() },
        GenerationState {
            segments: vec![Segment { mode: SegmentMode::Prefill, tokens: vec![vocabulary] }],
            step: 0,
            ..good.clone()
        },
    ];
    for state in cases {
        let error = Generation::resume(model(), state.clone()).map(|_| ()).expect_err("it was accepted");
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        let other_model = matches!(error, ModelError::WrongModel { .. });
        assert_eq!(other_model, state.model_sha256 != good.model_sha256);
    }
}
