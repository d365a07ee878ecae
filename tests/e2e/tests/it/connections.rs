//! Connections of tests to a daemon: typed ones, and bare sockets that may say anything.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use podium_client::{Client, ConnectOptions, EnvSource, StartPolicy};
use podium_harness::{TestEnvironment, binary};
use podium_protocol::{Frame, Hello, Outcome, PROTOCOL_VERSION, Request, Response, VERSION, WireError};
use serde_json::Value;

/// Options of a client that speaks for the person, and starts nothing.
pub(crate) fn options(environment: &TestEnvironment) -> ConnectOptions {
    let env: BTreeMap<String, String> = environment
        .vars()
        .iter()
        .filter(|(name, _)| !name.to_string_lossy().starts_with("PODIUM_"))
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect();
    ConnectOptions {
        start: StartPolicy::Never,
        env: EnvSource::Fixed(env),
        program: Some(binary("podium")),
        ..ConnectOptions::new(environment.home().clone(), "test")
    }
}

pub(crate) async fn connect(environment: &TestEnvironment) -> Client {
    Client::connect(options(environment)).await.unwrap()
}

/// A runtime with as many threads as the machine has.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(work)
}

pub(crate) fn token(environment: &TestEnvironment) -> String {
    std::fs::read_to_string(environment.home().token_file()).unwrap().trim().to_owned()
}

pub(crate) fn hello(token: Option<String>) -> Frame {
    Frame::Hello(Hello {
        protocol: PROTOCOL_VERSION,
        version: VERSION.to_owned(),
        client: "test".to_owned(),
        pid: std::process::id(),
        token,
    })
}

pub(crate) fn request(id: u64, method: &str, params: Value) -> Frame {
    Frame::Request(Request { id, method: method.to_owned(), params, env: BTreeMap::new() })
}

/// A connection without any manners of its own.
pub(crate) struct RawConnection {
    stream: UnixStream,
}

impl RawConnection {
    pub(crate) fn open(environment: &TestEnvironment) -> Self {
        Self::open_at(&environment.home().socket())
    }

    pub(crate) fn open_at(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(40))).unwrap();
        Self { stream }
    }

    /// One that has shaken hands as a person.
    pub(crate) fn person(environment: &TestEnvironment) -> Self {
        let mut connection = Self::open(environment);
        connection.send(&hello(Some(token(environment))));
        assert!(matches!(connection.read(), Some(Frame::Welcome(_))), "the handshake succeeds");
        connection
    }

    pub(crate) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    pub(crate) fn send(&mut self, frame: &Frame) {
        self.write(&framed(&frame.encode().unwrap())).unwrap();
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next frame; `None` when the daemon closed the connection.
    pub(crate) fn read(&mut self) -> Option<Frame> {
        let mut length = [0; 4];
        match self.stream.read_exact(&mut length) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("the daemon neither answers nor closes the connection")
            }
            Err(_) => return None,
        }
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut body).ok()?;
        Some(Frame::decode(&body).unwrap())
    }

    /// The response to request `id`, passing over notifications.
    pub(crate) fn response(&mut self, id: u64) -> Outcome {
        loop {
            match self.read() {
                Some(Frame::Response(Response { id: found, outcome })) if found == id => return outcome,
                Some(_) => {}
                None => panic!("the daemon closed the connection instead of answering request {id}"),
            }
        }
    }

    pub(crate) fn call(&mut self, id: u64, method: &str, params: Value) -> Result<Value, WireError> {
        self.send(&request(id, method, params));
        match self.response(id) {
            Outcome::Ok(value) => Ok(value),
            Outcome::Err(error) => Err(error),
        }
    }

    /// Reads until the daemon closes the connection; gives what it said.
    pub(crate) fn read_to_close(&mut self) -> Vec<Frame> {
        std::iter::from_fn(|| self.read()).collect()
    }
}

/// A body with its length in front.
pub(crate) fn framed(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    [&length.to_be_bytes()[..], body].concat()
}
