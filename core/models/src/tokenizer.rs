//! Text to token ids and back, from what the GGUF file says.

use crate::error::{ModelError, Result};
use crate::gguf::Gguf;
use candle_core::quantized::gguf_file::Value;
use std::collections::HashMap;
use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;

/// The only token type of a vocabulary that text may turn into.
const NORMAL: i32 = 1;

/// Byte-level BPE with its control tokens kept apart: text never encodes to one of them, whatever it
/// says, because the encoder does not know them.
pub struct Tokenizer {
    encoder: tokenizers::Tokenizer,
    /// What each id stands for; `None` for control tokens.
    pieces: Vec<Option<Box<[u8]>>>,
    control: HashMap<String, u32>,
}

impl Tokenizer {
    pub(crate) fn from_gguf(gguf: &Gguf<'_>) -> Result<Self> {
        let model = gguf.string("tokenizer.ggml.model")?;
        let pre = gguf.string("tokenizer.ggml.pre")?;
        if (model, pre) != ("gpt2", "smollm") {
            return Err(ModelError::Unsupported { reason: format!("its tokenizer is {model}/{pre}") });
        }
        let tokens = gguf.strings("tokenizer.ggml.tokens")?;
        let types = gguf.array("tokenizer.ggml.token_type")?;
        if types.len() != tokens.len() {
            return Err(ModelError::gguf("token types and tokens differ in number"));
        }
        let bytes_of = byte_of_character();
        let mut vocabulary = Vec::with_capacity(tokens.len());
        let mut pieces = Vec::with_capacity(tokens.len());
        let mut control = HashMap::new();
        for (id, (token, kind)) in (0_u32..).zip(tokens.iter().zip(types)) {
            if matches!(kind, Value::I32(NORMAL)) {
                vocabulary.push(((*token).to_owned(), id));
                pieces.push(Some(piece(token, &bytes_of)?));
            } else {
                control.insert((*token).to_owned(), id);
                pieces.push(None);
            }
        }
        let encoder = encoder(vocabulary, merges(gguf)?)?;
        Ok(Self { encoder, pieces, control })
    }

    /// Number of ids.
    pub fn vocabulary_size(&self) -> usize {
        self.pieces.len()
    }

    /// Ids of plain text. Bytes the vocabulary lacks (a few control characters) are left out; the names
    /// of control tokens are text like any other.
    ///
    /// # Errors
    /// Only on a defect of the encoder.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.encoder.encode_fast(text, false).map_err(internal)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The id of a control token such as `<|im_start|>`.
    pub(crate) fn control(&self, name: &str) -> Result<u32> {
        self.control
            .get(name)
            .copied()
            .ok_or_else(|| ModelError::Unsupported { reason: format!("it has no token {name}") })
    }

    /// The bytes an id stands for; nothing for control tokens and ids out of range.
    pub fn bytes(&self, id: u32) -> &[u8] {
        self.pieces.get(id as usize).and_then(Option::as_deref).unwrap_or_default()
    }

    /// The text of finished ids; bytes that are not UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut decoder = TextDecoder::default();
        let mut text: String = ids.iter().map(|id| decoder.push(self.bytes(*id))).collect();
        text.push_str(&decoder.finish());
        text
    }
}

fn encoder(vocabulary: Vec<(String, u32)>, merges: Vec<(String, String)>) -> Result<tokenizers::Tokenizer> {
    let vocabulary: tokenizers::models::bpe::Vocab = vocabulary.into_iter().collect();
    let bpe = BPE::builder()
        .vocab_and_merges(vocabulary, merges)
        .build()
        .map_err(|error| ModelError::gguf(format!("its vocabulary: {error}")))?;
    let mut encoder = tokenizers::Tokenizer::new(bpe);
    let digits = Digits::new(true).into();
    let byte_level = ByteLevel::new(false, true, true).into();
    encoder.with_pre_tokenizer(Some(Sequence::new(vec![digits, byte_level])));
    Ok(encoder)
}

fn merges(gguf: &Gguf<'_>) -> Result<Vec<(String, String)>> {
    let pair = |merge: &str| merge.split_once(' ').map(|(left, right)| (left.to_owned(), right.to_owned()));
    let merges = gguf.strings("tokenizer.ggml.merges")?;
    merges
        .into_iter()
        .map(|merge| pair(merge).ok_or_else(|| ModelError::gguf("a merge without a pair")))
        .collect()
}

fn piece(token: &str, bytes_of: &HashMap<char, u8>) -> Result<Box<[u8]>> {
    let byte = |character| bytes_of.get(&character).copied();
    token
        .chars()
        .map(byte)
        .collect::<Option<_>>()
        .ok_or_else(|| ModelError::gguf("a token outside byte-level BPE"))
}

/// GPT-2's mapping, backwards: printable bytes stand for themselves, the others for U+0100 and up.
fn byte_of_character() -> HashMap<char, u8> {
    let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let itself = (0..=u8::MAX).filter(printable).map(|byte| (char::from(byte), byte));
    let others = (0..=u8::MAX).filter(|byte| !printable(byte));
    let moved = ('\u{100}'..).zip(others);
    itself.chain(moved).collect()
}

fn internal(error: tokenizers::Error) -> ModelError {
    ModelError::Internal(format!("encoding text: {error}"))
}

/// Turns a stream of byte pieces into text, holding back the beginning of a character until its end is
/// here.
#[derive(Debug, Clone, Default)]
pub struct TextDecoder {
    held: Vec<u8>,
}

impl TextDecoder {
    /// All text that is complete with these bytes. Bytes that can begin no character become U+FFFD.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.held.extend_from_slice(bytes);
        let mut text = String::new();
        let mut rest = self.held.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    rest = &[];
                    break;
                }
                Err(error) => {
                    let (valid, tail) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(valid));
                    let Some(invalid) = error.error_len() else {
                        rest = tail;
                        break;
                    };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = &tail[invalid..];
                }
            }
        }
        self.held = rest.to_vec();
        text
    }

    /// What is left at the end of the stream: U+FFFD for a character that never ended.
    pub fn finish(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        String::from_utf8_lossy(&held).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_byte_mapping_is_one_to_one() {
        let mapping = byte_of_character();
        assert_eq!(mapping.len(), 256);
        assert_eq!(mapping[&'Ġ'], b' ');
        assert_eq!(mapping[&'Ċ'], b'\n');
    }

    proptest! {
        #[test]
        fn text_in_any_cut_comes_out_whole(text in any::<String>(), sizes in proptest::collection::vec(1usize..5, 1..50)) {
            let mut decoder = TextDecoder::default();
            let mut out = String::new();
            let mut rest = text.as_bytes();
            for size in sizes.iter().cycle() {
                let (piece, tail) = rest.split_at((*size).min(rest.len()));
                out += &decoder.push(piece);
                prop_assert!(text.starts_with(&out), "never a wrong character on the way");
                rest = tail;
                if rest.is_empty() {
                    break;
                }
            }
            out += &decoder.finish();
            prop_assert_eq!(out, text);
        }

        #[test]
        fn any_bytes_decode_as_the_lossy_conversion_does(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut decoder = TextDecoder::default();
            let mut out: String = bytes.iter().map(|byte| decoder.push(&[*byte])).collect();
            out += &decoder.finish();
            prop_assert_eq!(out, String::from_utf8_lossy(&bytes));
        }
    }
}
