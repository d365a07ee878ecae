//! A server on loopback that answers each request with what the test wrote down, in the pieces it wrote it in, and keeps
//! what it was asked.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What is sent for one request.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) pieces: Vec<Vec<u8>>,
    /// The connection stays open behind the last piece and says nothing more.
    pub(crate) hangs: bool,
    /// The last piece comes again and again, until nobody reads any more.
    pub(crate) endless: bool,
    /// Not even a status comes.
    pub(crate) silent: bool,
}

impl Answer {
    pub(crate) fn refusal(status: u16, body: &str) -> Self {
        let pieces = vec![body.into()];
        Self { status, headers: Vec::new(), pieces, hangs: false, endless: false, silent: false }
    }

    pub(crate) fn stream(pieces: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let headers = vec![("content-type", "text/event-stream".to_owned())];
        let pieces = pieces.into_iter().collect();
        Self { status: 200, headers, pieces, hangs: false, endless: false, silent: false }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Value,
    pub(crate) at: Instant,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

pub(crate) struct Wire {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Wire {
    /// Answers the requests in order; the last answer serves all that follow.
    pub(crate) async fn answering(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (answers, keep) = (answers.clone(), Arc::clone(&keep));
                tokio::spawn(async move {
                    let _ = serve(socket, &answers, &keep).await;
                });
            }
        });
        Self { url, asked }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(socket: TcpStream, answers: &[Answer], keep: &Mutex<Vec<Asked>>) -> std::io::Result<()> {
    let mut socket = BufReader::new(socket);
    let mut line = String::new();
    socket.read_line(&mut line).await?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    loop {
        line.clear();
        socket.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, length)| length.parse().unwrap())];
    socket.read_exact(&mut body).await?;
    let number = {
        let mut asked = keep.lock().unwrap();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        asked.push(Asked { path, headers, body, at: Instant::now() });
        asked.len() - 1
    };
    let answer = answers.get(number).or(answers.last()).unwrap();
    if answer.silent {
        let _end = socket.read(&mut [0; 1]).await?;
        return Ok(());
    }
    let mut head = format!("HTTP/1.1 {} X\r\nconnection: close\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    socket.write_all(head.as_bytes()).await?;
    for piece in &answer.pieces {
        socket.write_all(piece).await?;
        socket.flush().await?;
        tokio::task::yield_now().await;
    }
    while let Some(piece) = answer.pieces.last().filter(|_| answer.endless) {
        socket.write_all(piece).await?;
    }
    if answer.hangs {
        let _end = socket.read(&mut [0; 1]).await?;
    }
    socket.shutdown().await
}
