//! A stand-in for a paid API: the Messages API's wire format on loopback. Each request gets the next answer that the test
//! wrote down; what was asked is kept.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

/// A block of an answer.
#[derive(Debug, Clone)]
pub enum Block {
    Text(String),
    Tool { id: String, name: String, input: Value },
}

impl Block {
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    #[must_use]
    pub fn tool(id: &str, name: &str, input: Value) -> Self {
        Self::Tool { id: id.to_owned(), name: name.to_owned(), input }
    }

    fn events(&self, index: usize) -> Vec<(&'static str, Value)> {
        let (block, delta) = match self {
            Self::Text(text) => {
                (json!({ "type": "text", "text": "" }), json!({ "type": "text_delta", "text": text }))
            }
            Self::Tool { id, name, input } => (
                json!({ "type": "tool_use", "id": id, "name": name, "input": {} }),
                json!({ "type": "input_json_delta", "partial_json": input.to_string() }),
            ),
        };
        vec![
            ("content_block_start", json!({ "index": index, "content_block": block })),
            ("content_block_delta", json!({ "index": index, "delta": delta })),
            ("content_block_stop", json!({ "index": index })),
        ]
    }
}

/// The server. It lives as long as the test's process.
pub struct Messages {
    url: String,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Messages {
    /// Gives these answers in order; the last one serves all further requests.
    ///
    /// # Panics
    /// Where no port of loopback can be had.
    #[must_use]
    pub fn answering(answers: Vec<Vec<Block>>) -> Self {
        Self::choosing(move |number, _| answers.get(number).or(answers.last()).cloned().unwrap_or_default())
    }

    /// Answers each request as the test says, by its body. Several at once; one may take its time.
    ///
    /// # Panics
    /// Where no port of loopback can be had.
    #[must_use]
    pub fn answering_by(answer: impl Fn(&Value) -> Vec<Block> + Send + Sync + 'static) -> Self {
        Self::choosing(move |_, body| answer(body))
    }

    fn choosing(choose: impl Fn(usize, &Value) -> Vec<Block> + Send + Sync + 'static) -> Self {
        let bound = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr().map(|at| (l, at)));
        let (listener, at) = bound.unwrap_or_else(|error| panic!("no port of loopback: {error}"));
        let url = format!("http://{at}");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (keep, choose) = (Arc::clone(&asked), Arc::new(choose));
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (keep, choose) = (Arc::clone(&keep), Arc::clone(&choose));
                // A client that went away needs no answer.
                std::thread::spawn(move || serve(socket, choose.as_ref(), &keep).ok());
            }
        });
        Self { url, asked }
    }

    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Bodies of the requests so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(
    socket: TcpStream,
    choose: &dyn Fn(usize, &Value) -> Vec<Block>,
    keep: &Mutex<Vec<Value>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(socket);
    let (mut line, mut length) = (String::new(), 0);
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let number = {
        let mut asked = keep.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push(body.clone());
        asked.len() - 1
    };
    let blocks = choose(number, &body);
    let mut socket = reader.into_inner();
    socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")?;
    for (kind, mut data) in events(&blocks) {
        data["type"] = json!(kind);
        write!(socket, "event: {kind}\ndata: {data}\n\n")?;
    }
    socket.flush()
}

fn events(blocks: &[Block]) -> Vec<(&'static str, Value)> {
    let usage = json!({ "input_tokens": 100, "output_tokens": 1 });
    let message =
        json!({ "id": "msg_1", "type": "message", "role": "assistant", "content": [], "usage": usage });
    let mut events = vec![("message_start", json!({ "message": message }))];
    events.extend(blocks.iter().enumerate().flat_map(|(index, block)| block.events(index)));
    let calls = blocks.iter().any(|block| matches!(block, Block::Tool { .. }));
    let reason = if calls { "tool_use" } else { "end_turn" };
    let delta = json!({ "delta": { "stop_reason": reason }, "usage": { "output_tokens": 20 } });
    events.extend([("message_delta", delta), ("message_stop", json!({}))]);
    events
}
