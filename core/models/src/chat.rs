//! Conversations as tokens.

use crate::error::{ModelError, Result};
use crate::gguf::Gguf;
use crate::tokenizer::Tokenizer;
use serde::{Deserialize, Serialize};

/// The one template that is understood, as its authors wrote it. A model with another one would be
/// prompted wrongly, so it is refused instead.
const CHATML: &str = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}\
    {{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}\
    {% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}\
    {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
const DEFAULT_SYSTEM: &str = "You are a helpful AI assistant named SmolLM, trained by Hugging Face";

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    System,
    User,
    Assistant,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub role: Role,
    pub content: String,
}

impl Message {
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into() }
    }
}

/// Lays out messages; control tokens come from here and from nowhere else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChatMl {
    start: u32,
    pub(crate) end: u32,
}

impl ChatMl {
    pub(crate) fn from_gguf(gguf: &Gguf<'_>, tokenizer: &Tokenizer) -> Result<Self> {
        if gguf.string("tokenizer.chat_template")? != CHATML {
            return Err(ModelError::Unsupported {
                reason: "its chat template is not the known one".to_owned(),
            });
        }
        Ok(Self { start: tokenizer.control("<|im_start|>")?, end: tokenizer.control("<|im_end|>")? })
    }

    /// A whole conversation, ready for the assistant's answer. Without a system message in front, the
    /// model's own is put there, as the template does.
    pub(crate) fn conversation(self, tokenizer: &Tokenizer, messages: &[Message]) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        if messages.first().is_none_or(|message| message.role != Role::System) {
            self.message(tokenizer, Role::System, DEFAULT_SYSTEM, &mut ids)?;
        }
        self.messages(tokenizer, messages, &mut ids)?;
        Ok(ids)
    }

    /// What follows the assistant's answer when the conversation goes on. `ended`: the answer already
    /// has its end token.
    pub(crate) fn next_turn(
        self,
        tokenizer: &Tokenizer,
        ended: bool,
        messages: &[Message],
    ) -> Result<Vec<u32>> {
        let mut ids = if ended { Vec::new() } else { vec![self.end] };
        ids.extend(tokenizer.encode("\n")?);
        self.messages(tokenizer, messages, &mut ids)?;
        Ok(ids)
    }

    fn messages(self, tokenizer: &Tokenizer, messages: &[Message], ids: &mut Vec<u32>) -> Result<()> {
        for message in messages {
            self.message(tokenizer, message.role, &message.content, ids)?;
        }
        ids.push(self.start);
        ids.extend(tokenizer.encode("assistant\n")?);
        Ok(())
    }

    fn message(self, tokenizer: &Tokenizer, role: Role, content: &str, ids: &mut Vec<u32>) -> Result<()> {
        ids.push(self.start);
        ids.extend(tokenizer.encode(&format!("{}\n{content}", role.name()))?);
        ids.push(self.end);
        ids.extend(tokenizer.encode("\n")?);
        Ok(())
    }
}
