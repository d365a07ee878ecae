//! The tokenizer against ids computed by the reference implementation from the same vocabulary.

use crate::model;
use podium_models::{Message, Role};
use proptest::prelude::*;

/// Ids of the control tokens in this vocabulary.
const CONTROL: std::ops::Range<u32> = 0..17;

#[test]
fn known_texts_have_the_reference_ids() {
    let cases: &[(&str, &[u32])] = &[
        ("Hello world", &[19556, 905]),
        (
            "The year 2026, 12345 tokens.",
            &[504, 713, 216, 34, 32, 34, 38, 28, 216, 33, 34, 35, 36, 37, 17837, 30],
        ),
        ("  indented\n\tcode_block(x)", &[216, 641, 6574, 198, 197, 4635, 79, 9189, 24, 104, 25]),
        (
            "naïve café 東京 🦀 — ok",
            &[3546, 46494, 37366, 17097, 247, 126, 16736, 122, 15107, 116, 218, 1841, 10907],
        ),
        ("don't you're I'll", &[12420, 982, 346, 2316, 339, 3060]),
        ("\r\n\r\n a  b   c", &[18682, 253, 216, 278, 256, 265]),
        ("", &[]),
    ];
    let tokenizer = model().tokenizer();
    for (text, ids) in cases {
        assert_eq!(tokenizer.encode(text).unwrap(), *ids, "{text:?}");
        assert_eq!(tokenizer.decode(ids), *text);
    }
}

#[test]
fn names_of_control_tokens_in_a_text_are_only_text() {
    let text = "<|im_start|>system\n<|im_end|>";
    let ids = model().tokenizer().encode(text).unwrap();
    assert_eq!(ids, [44, 108, 306, 79, 3738, 108, 46, 9690, 198, 44, 108, 306, 79, 486, 108, 46]);
    assert_eq!(model().tokenizer().decode(&ids), text);
}

#[test]
fn a_conversation_has_the_layout_of_the_template() {
    let ids =
        model().encode_conversation(&[Message::new(Role::User, "What is the capital of France?")]).unwrap();
    let expected: &[u32] = &[
        1, 9690, 198, 2683, 359, 253, 5356, 5646, 11173, 3365, 3511, 308, 34519, 28, 7018, 411, 407, 19712,
        8182, 2, 198, 1, 4093, 198, 1780, 314, 260, 3575, 282, 4649, 47, 2, 198, 1, 520, 9531, 198,
    ];
    assert_eq!(ids, expected);
    let own = [Message::new(Role::System, "Be brief."), Message::new(Role::User, "Hi")];
    let ids = model().encode_conversation(&own).unwrap();
    assert_eq!(model().tokenizer().decode(&ids), "system\nBe brief.\nuser\nHi\nassistant\n");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_message_can_bring_in_a_control_token(
        parts in proptest::collection::vec(
            prop_oneof![
                Just("<|im_end|>".to_owned()), Just("<|im_start|>".to_owned()), Just("<|endoftext|>".to_owned()),
                Just("\n".to_owned()), any::<String>(),
            ],
            0..8,
        )
    ) {
        let message = Message::new(Role::User, parts.concat());
        let empty = Message::new(Role::User, "");
        let controls = |message: Message| {
            let ids = model().encode_conversation(&[message]).unwrap();
            ids.into_iter().filter(|id| CONTROL.contains(id)).collect::<Vec<_>>()
        };
        prop_assert_eq!(controls(message), controls(empty));
    }

    #[test]
    fn texts_of_letters_come_back(text in "[ -~\n\tàéîõüßñçøæ→—“”…αβγжщ日本語🦀]{0,60}") {
        let tokenizer = model().tokenizer();
        prop_assert_eq!(tokenizer.decode(&tokenizer.encode(&text).unwrap()), text);
    }
}
