//! A stand-in for a model's server that streams at a pace: the wire formats of the Messages API and of OpenAI's interface on
//! loopback. Asked to go on behind what was said before, it goes on exactly there, as a model that repeats nothing.

use std::io::{self, BufRead as _, BufReader, Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A piece of an answer that was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The last prompt of the request, which tells sessions apart.
    pub prompt: String,
    /// Number of the piece in the whole answer.
    pub piece: usize,
    pub at: Instant,
}

/// What every request is answered with.
#[derive(Debug, Clone, Default)]
pub struct Telling {
    pub pieces: Vec<String>,
    /// From one piece to the next; zero: as fast as they are taken.
    pub every: Duration,
    /// An answer that begins falls silent behind so many pieces, and stays open; one that is gone on with does not.
    pub silent_behind: Option<usize>,
}

/// The server. It lives as long as the test's process.
pub struct Streaming {
    url: String,
    shared: Arc<Shared>,
}

struct Shared {
    telling: Telling,
    whole: String,
    sent: Mutex<Vec<Sent>>,
    requests: Mutex<usize>,
}

#[derive(Clone, Copy)]
enum Format {
    Messages,
    Completions,
}

impl Streaming {
    /// # Panics
    /// Where no port of loopback can be had.
    #[must_use]
    pub fn start(telling: Telling) -> Self {
        let bound = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr().map(|at| (l, at)));
        let (listener, at) = bound.unwrap_or_else(|error| panic!("no port of loopback: {error}"));
        let shared = Arc::new(Shared {
            whole: telling.pieces.concat(),
            telling,
            sent: Mutex::default(),
            requests: Mutex::default(),
        });
        let of_server = Arc::clone(&shared);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let shared = Arc::clone(&of_server);
                // A client that went away needs no answer.
                std::thread::spawn(move || drop(shared.serve(socket)));
            }
        });
        Self { url: format!("http://{at}"), shared }
    }

    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The answer when nothing disturbs it.
    #[must_use]
    pub fn whole(&self) -> &str {
        &self.shared.whole
    }

    /// Answers that were begun.
    #[must_use]
    pub fn requests(&self) -> usize {
        *self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what was sent since it was asked last.
    #[must_use]
    pub fn take_sent(&self) -> Vec<Sent> {
        std::mem::take(&mut *self.shared.sent.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shared {
    fn serve(&self, socket: TcpStream) -> io::Result<()> {
        socket.set_nodelay(true)?;
        let mut reader = BufReader::new(socket);
        let (path, body) = read_request(&mut reader)?;
        let mut socket = reader.into_inner();
        if path.ends_with("/models") {
            let list =
                json!({ "object": "list", "data": [{ "id": "teller", "object": "model" }] }).to_string();
            let length = list.len();
            return write!(
                socket,
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
                 connection: close\r\n\r\n{list}"
            );
        }
        let format = if path.ends_with("/messages") { Format::Messages } else { Format::Completions };
        *self.requests.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        socket
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")?;
        let conversation = Conversation::of(&body);
        self.tell(&mut socket, format, &conversation)
    }

    fn tell(&self, socket: &mut TcpStream, format: Format, conversation: &Conversation) -> io::Result<()> {
        let Some(said) = self.said(conversation) else {
            // What the test sees in the transcript.
            let wrong = format!("[the server was told something else than it said: {:?}]", conversation.said);
            format.open(socket)?;
            format.piece(socket, &wrong)?;
            return format.close(socket);
        };
        format.open(socket)?;
        let (begun, mut at, mut told) = (Instant::now(), 0, 0);
        for (number, piece) in self.telling.pieces.iter().enumerate() {
            let end = at + piece.len();
            let fresh = &self.whole[said.clamp(at, end)..end];
            at = end;
            if fresh.is_empty() {
                continue;
            }
            if said == 0 && self.telling.silent_behind.is_some_and(|most| number >= most) {
                let _end = socket.read(&mut [0; 1])?;
                return Ok(());
            }
            let due = begun + self.telling.every * told;
            // tidy-allow(sleep): this is the pace
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let sent = Sent { prompt: conversation.prompt.clone(), piece: number, at: Instant::now() };
            format.piece(socket, fresh)?;
            self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(sent);
            told += 1;
        }
        format.close(socket)
    }

    /// Bytes of the answer that were said; `None` for words that are not its beginning.
    fn said(&self, conversation: &Conversation) -> Option<usize> {
        self.whole.starts_with(&conversation.said).then_some(conversation.said.len())
    }
}

/// The path and the body.
fn read_request(reader: &mut BufReader<TcpStream>) -> io::Result<(String, Value)> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((path, serde_json::from_slice(&body).unwrap_or_default()))
}

/// What a request tells of the session.
struct Conversation {
    prompt: String,
    /// Of the answer that is to be gone on with.
    said: String,
}

impl Conversation {
    /// The first of the user's words are the prompt: these sessions have one turn.
    fn of(body: &Value) -> Self {
        let messages = body["messages"].as_array().map_or(&[][..], Vec::as_slice);
        let of =
            |role: &'static str| messages.iter().filter(move |message| message["role"] == role).map(text);
        Self { prompt: of("user").next().unwrap_or_default(), said: of("assistant").collect() }
    }
}

/// Both interfaces have texts, one of them blocks too.
fn text(message: &Value) -> String {
    let content = &message["content"];
    let blocks = content.as_array().map_or(&[][..], Vec::as_slice).iter();
    let of_blocks = blocks.filter_map(|block| block["text"].as_str()).collect();
    content.as_str().map_or(of_blocks, str::to_owned)
}

impl Format {
    fn open(self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Messages => {
                let usage = json!({ "input_tokens": 100, "output_tokens": 1 });
                let message = json!({ "id": "msg_1", "type": "message", "role": "assistant", "content": [], "usage": usage });
                event(out, "message_start", json!({ "message": message }))?;
                let block = json!({ "type": "text", "text": "" });
                event(out, "content_block_start", json!({ "index": 0, "content_block": block }))?;
                event(out, "ping", json!({}))
            }
            Self::Completions => {
                completion(out, &json!({ "role": "assistant", "content": "" }), &Value::Null)
            }
        }
    }

    fn piece(self, out: &mut impl Write, text: &str) -> io::Result<()> {
        match self {
            Self::Messages => {
                let delta = json!({ "type": "text_delta", "text": text });
                event(out, "content_block_delta", json!({ "index": 0, "delta": delta }))
            }
            Self::Completions => completion(out, &json!({ "content": text }), &Value::Null),
        }
    }

    fn close(self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Messages => {
                event(out, "content_block_stop", json!({ "index": 0 }))?;
                let delta =
                    json!({ "delta": { "stop_reason": "end_turn" }, "usage": { "output_tokens": 20 } });
                event(out, "message_delta", delta)?;
                event(out, "message_stop", json!({}))
            }
            Self::Completions => {
                completion(out, &json!({}), &json!("stop"))?;
                let usage = json!({ "prompt_tokens": 100, "completion_tokens": 20 });
                let last = json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [], "usage": usage });
                write!(out, "data: {last}\n\ndata: [DONE]\n\n")
            }
        }
    }
}

/// In one write: a piece is a packet of its own.
fn event(out: &mut impl Write, kind: &str, mut data: Value) -> io::Result<()> {
    data["type"] = json!(kind);
    out.write_all(format!("event: {kind}\ndata: {data}\n\n").as_bytes())
}

fn completion(out: &mut impl Write, delta: &Value, finish: &Value) -> io::Result<()> {
    let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
    let data = json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice] });
    out.write_all(format!("data: {data}\n\n").as_bytes())
}
