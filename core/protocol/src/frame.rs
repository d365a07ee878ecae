//! The frames of the IPC connection and their encoding.
//!
//! A frame is a big-endian `u32` length followed by that many bytes of MessagePack (struct fields by name, so
//! that a field can be added). The connection opens with [`Hello`] and [`Welcome`]; then requests, responses
//! and notifications flow in both directions in any order, matched by id.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{SessionUpdate, WireError};

/// Largest frame either side accepts, in bytes. Larger payloads travel as artifacts.
pub const MAX_FRAME: usize = 16 * 1024 * 1024;

/// Deepest nesting of a message. The decoder recurses, and a hostile peer must not choose how far.
const MAX_DEPTH: usize = 128;

/// How a notification begins: a map of one entry with this name.
const NOTIFY: &[u8] = b"\x81\xa6notify";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Frame {
    Hello(Hello),
    Welcome(Welcome),
    /// The handshake failed; the connection closes after it.
    Refused(WireError),
    Request(Request),
    Response(Response),
    Notify(Notify),
    /// The client no longer wants the answer to this request id.
    Cancel(u64),
}

/// First frame of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    pub protocol: u32,
    pub version: String,
    /// Name of the client program, for logs: `imi`, `podium lsp`, ...
    pub client: String,
    pub pid: u32,
    /// Content of the token file, which proves that a person's process opened the connection.
    /// Absent on a capability socket, which speaks for its session.
    #[serde(default)]
    pub token: Option<String>,
}

/// The daemon's answer to [`Hello`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Welcome {
    pub protocol: u32,
    pub version: String,
    pub pid: u32,
    /// Unique for each start of a daemon: a client that sees another one has lost its subscriptions.
    pub instance: String,
    /// Sequence number of the newest event.
    pub head_seq: u64,
    pub caller: Caller,
}

/// Whom the daemon takes a connection for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Caller {
    /// A process of the user that could read the token file.
    Person,
    /// An agent on its session's capability socket.
    Agent {
        session: String,
        #[serde(rename = "agentId")]
        agent_id: String,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    pub id: u64,
    pub method: String,
    #[serde(default)]
    pub params: Value,
    /// Variables of the caller's environment that the method needs (PATH, keys, proxies, SSH_AUTH_SOCK).
    /// The daemon keeps them in memory only, for this request and what it starts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Response {
    pub id: u64,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Ok(Value),
    Err(WireError),
}

/// A message that nobody answers: an event, a piece of a session, progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notify {
    pub method: String,
    pub params: Value,
}

/// A frame could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("frame of {size} bytes is over the limit of {MAX_FRAME}")]
    TooLarge { size: usize },
    #[error("frame is not a message of this protocol")]
    Malformed(#[source] rmp_serde::decode::Error),
    #[error("message cannot be encoded")]
    Unencodable(#[source] rmp_serde::encode::Error),
}

impl Frame {
    /// The frame's body, without the length prefix.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`] when the body is over [`MAX_FRAME`] bytes.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        encode(self)
    }

    /// Reads a body that [`Frame::encode`] wrote. Never panics, whatever the bytes.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`] or [`FrameError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        if bytes.len() > MAX_FRAME {
            return Err(FrameError::TooLarge { size: bytes.len() });
        }
        let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes);
        deserializer.set_max_depth(MAX_DEPTH);
        Self::deserialize(&mut deserializer).map_err(FrameError::Malformed)
    }
}

/// A request on its way out: on the wire a [`Frame::Request`], without a copy of its parameters.
#[derive(Debug, Serialize)]
pub struct OutgoingRequest<'a, P: Serialize> {
    pub id: u64,
    pub method: &'a str,
    pub params: &'a P,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: &'a BTreeMap<String, String>,
}

impl<P: Serialize> OutgoingRequest<'_, P> {
    /// The frame's body, as [`Frame::encode`] gives it.
    ///
    /// # Errors
    /// As [`Frame::encode`].
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        #[derive(Serialize)]
        #[serde(rename_all = "snake_case")]
        enum Outgoing<'a, R> {
            Request(&'a R),
        }
        encode(&Outgoing::Request(self))
    }
}

/// A notification on its way out: on the wire a [`Frame::Notify`], without a copy of its parameters.
#[derive(Debug, Serialize)]
pub struct OutgoingNotify<'a, P: Serialize> {
    pub method: &'a str,
    pub params: &'a P,
}

impl<P: Serialize> OutgoingNotify<'_, P> {
    /// The frame's body, as [`Frame::encode`] gives it.
    ///
    /// # Errors
    /// As [`Frame::encode`].
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        #[derive(Serialize)]
        #[serde(rename_all = "snake_case")]
        enum Outgoing<'a, N> {
            Notify(&'a N),
        }
        encode(&Outgoing::Notify(self))
    }
}

/// What a client reads: a frame, or a piece of a session, which is read straight into its type.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming {
    Session(SessionUpdate),
    Frame(Frame),
}

impl Incoming {
    /// Reads a body that [`Frame::encode`] or its like wrote. Never panics, whatever the bytes.
    ///
    /// # Errors
    /// As [`Frame::decode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Piece {
            Notify { method: Method, params: SessionUpdate },
        }
        #[derive(Deserialize)]
        enum Method {
            #[serde(rename = "session/update")]
            SessionUpdate,
        }
        // Most answers are no notifications: one look tells.
        if bytes.len() <= MAX_FRAME && bytes.starts_with(NOTIFY) {
            let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes);
            deserializer.set_max_depth(MAX_DEPTH);
            if let Ok(Piece::Notify { method: Method::SessionUpdate, params }) =
                Piece::deserialize(&mut deserializer)
            {
                return Ok(Self::Session(params));
            }
        }
        Frame::decode(bytes).map(Self::Frame)
    }
}

fn encode(message: &impl Serialize) -> Result<Vec<u8>, FrameError> {
    // Most messages fit without growing.
    let mut bytes = Vec::with_capacity(512);
    rmp_serde::encode::write_named(&mut bytes, message).map_err(FrameError::Unencodable)?;
    if bytes.len() > MAX_FRAME {
        return Err(FrameError::TooLarge { size: bytes.len() });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_request_survives_the_round_trip() {
        let frame = Frame::Request(Request {
            id: 7,
            method: "worktree/create".into(),
            params: json!({"name": "x", "n": [1, -2, 3.5, null, true], "deep": {"a": {"b": "c"}}}),
            env: BTreeMap::from([("PATH".into(), "/bin".into())]),
        });
        assert_eq!(Frame::decode(&frame.encode().unwrap()).unwrap(), frame);
    }

    #[test]
    fn a_request_that_is_sent_is_one_that_is_read() {
        let params = crate::WorktreeCreateParams {
            at: crate::RepoSelector { repo: Some("/r".into()), ..Default::default() },
            name: Some("x".into()),
            ..Default::default()
        };
        let env = BTreeMap::from([("PATH".into(), "/bin".into())]);
        for env in [&env, &BTreeMap::new()] {
            let sent = OutgoingRequest { id: 7, method: "worktree/create", params: &params, env };
            let read = Frame::Request(Request {
                id: 7,
                method: "worktree/create".into(),
                params: serde_json::to_value(&params).unwrap(),
                env: env.clone(),
            });
            assert_eq!(Frame::decode(&sent.encode().unwrap()).unwrap(), read);
        }
    }

    #[test]
    fn a_notification_that_is_sent_is_one_that_is_read() {
        let item = crate::SessionItem {
            seq: 3,
            kind: crate::ItemKind::ToolCall,
            text: "é".into(),
            is_final: false,
            data: Some(json!({"input": {"n": [1, -2, 3.5, null, true]}})),
            time: "2026-01-01T00:00:00.000Z".into(),
        };
        let end = crate::SessionEnd {
            status: crate::SessionStatus::Completed,
            reason: None,
            usage: crate::Usage { input_tokens: 1, output_tokens: 2, cost_usd: Some(0.5) },
            files_changed: vec!["a".into()],
            artifact: None,
        };
        let update = SessionUpdate {
            subscription: 9,
            id: "s".into(),
            items: vec![item],
            progress: None,
            health: None,
            context: None,
            end: Some(end),
        };
        let bytes =
            OutgoingNotify { method: crate::notify::SESSION_UPDATE, params: &update }.encode().unwrap();
        let params = serde_json::to_value(&update).unwrap();
        let frame = Frame::Notify(Notify { method: crate::notify::SESSION_UPDATE.into(), params });
        assert_eq!(Frame::decode(&bytes).unwrap(), frame);
        assert_eq!(Incoming::decode(&bytes).unwrap(), Incoming::Session(update.clone()));
        assert_eq!(Incoming::decode(&frame.encode().unwrap()).unwrap(), Incoming::Session(update));
    }

    #[test]
    fn what_is_no_piece_of_a_session_is_read_as_any_frame() {
        let of = |method: &str, params| Frame::Notify(Notify { method: method.into(), params });
        let newer =
            json!({"subscription": 1, "id": "s", "items": [{"seq": 1, "kind": "hologram", "time": ""}]});
        for frame in [of("event", json!({"subscription": 1})), of("session/update", newer), Frame::Cancel(1)]
        {
            assert_eq!(Incoming::decode(&frame.encode().unwrap()).unwrap(), Incoming::Frame(frame));
        }
    }

    #[test]
    fn an_unknown_field_is_ignored() {
        #[derive(Serialize)]
        #[serde(rename_all = "snake_case")]
        enum Newer {
            Response { id: u64, outcome: Outcome, added_later: u8 },
        }
        let newer = Newer::Response { id: 1, outcome: Outcome::Ok(json!(1)), added_later: 9 };
        let bytes = rmp_serde::to_vec_named(&newer).unwrap();
        let expected = Frame::Response(Response { id: 1, outcome: Outcome::Ok(json!(1)) });
        assert_eq!(Frame::decode(&bytes).unwrap(), expected);
    }

    #[test]
    fn deep_nesting_is_an_error_and_not_a_stack_overflow() {
        let mut bytes = b"\x81\xa6notify\x82\xa6method\xa1x\xa6params".to_vec();
        bytes.extend(std::iter::repeat_n(0x91u8, 1_000_000));
        bytes.push(0xc0);
        assert!(Frame::decode(&bytes).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_decode_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = Frame::decode(&bytes);
            let _ = Incoming::decode(&[NOTIFY, &bytes].concat());
        }

        #[test]
        fn a_flipped_byte_never_panics(at in 0usize..200, to in any::<u8>()) {
            let frame = Frame::Notify(Notify { method: "event".into(), params: json!({"a": ["b", 1, {"c": null}]}) });
            let mut bytes = frame.encode().unwrap();
            let at = at % bytes.len();
            bytes[at] = to;
            let _ = Frame::decode(&bytes);
        }
    }
}
