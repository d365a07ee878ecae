//! A code host: what GitHub's API answers to the few questions that are asked about pull requests.
//!
//! It speaks HTTP/1.1, with TLS under a certificate authority of its own or without, and records what it was asked.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};

/// Nobody keeps a connection open longer without saying anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request that came.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// With the query.
    pub path: String,
    /// Value of the header `authorization`.
    pub authorization: String,
    pub body: String,
}

/// A pull request as its author's clone and its target know it.
#[derive(Debug, Clone)]
pub struct PullRequest {
    pub number: u64,
    pub title: String,
    pub author: String,
    /// `open`, `closed` or `merged`.
    pub state: &'static str,
    pub head_branch: String,
    /// `owner/name`; `None` for a fork that was deleted.
    pub head_repo: Option<String>,
    pub maintainer_can_modify: bool,
    /// As the REST API lists them.
    pub comments: Vec<Value>,
}

#[derive(Default)]
struct Known {
    repo: String,
    /// With the scheme.
    address: String,
    requests: Vec<PullRequest>,
    asked: Vec<Asked>,
}

/// A host that runs until it is dropped.
pub struct CodeHost {
    address: SocketAddr,
    authority: Option<PathBuf>,
    known: Arc<Mutex<Known>>,
}

impl CodeHost {
    /// A host with one repository (`owner/name`). With a folder it speaks TLS, and the certificate that vouches for it is
    /// written there.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn start(repo: &str, authority: Option<&Path>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap_or_else(|e| panic!("no port: {e}"));
        let address = listener.local_addr().unwrap_or_else(|e| panic!("no address: {e}"));
        let tls = authority.map(certified);
        let authority = tls.as_ref().map(|(_, path)| path.clone());
        let config = tls.map(|(config, _)| config);
        let scheme = if config.is_some() { "https" } else { "http" };
        let known =
            Known { repo: repo.to_owned(), address: format!("{scheme}://{address}"), ..Known::default() };
        let known = Arc::new(Mutex::new(known));
        let shared = Arc::clone(&known);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, config) = (Arc::clone(&shared), config.clone());
                thread::spawn(move || drop(answer(stream, config, &shared)));
            }
        });
        Self { address, authority, known }
    }

    /// `127.0.0.1:port`.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The certificate for `SSL_CERT_FILE`.
    ///
    /// # Panics
    /// For a host without TLS.
    #[must_use]
    pub fn authority(&self) -> &Path {
        self.authority.as_deref().unwrap_or_else(|| panic!("the host speaks no TLS"))
    }

    /// Adds a request, or replaces the one of its number.
    pub fn offer(&self, request: PullRequest) {
        let mut known = lock(&self.known);
        known.requests.retain(|other| other.number != request.number);
        known.requests.push(request);
    }

    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.known).asked.clone()
    }
}

/// Accepts connections and never says a word: a proxy that stalls. It ends with the process.
///
/// # Panics
/// When no port is free.
#[must_use]
pub fn stalled_host() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap_or_else(|e| panic!("no port: {e}"));
    let address = listener.local_addr().unwrap_or_else(|e| panic!("no address: {e}"));
    thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            open.push(stream);
        }
    });
    address
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

fn certified(folder: &Path) -> (Arc<rustls::ServerConfig>, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])
        .unwrap_or_else(|e| panic!("no certificate: {e}"));
    let path = folder.join("authority.pem");
    std::fs::write(&path, made.cert.pem()).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().and_then(
            |builder| builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key),
        );
    (Arc::new(config.unwrap_or_else(|e| panic!("no TLS: {e}"))), path)
}

fn answer(stream: TcpStream, tls: Option<Arc<rustls::ServerConfig>>, known: &Mutex<Known>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    match tls {
        None => speak(stream, known),
        Some(config) => {
            let connection = rustls::ServerConnection::new(config).map_err(io::Error::other)?;
            speak(rustls::StreamOwned::new(connection, stream), known)
        }
    }
}

fn speak(stream: impl Read + Write, known: &Mutex<Known>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ');
    let (method, path) =
        (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
    let (mut length, mut authorization) = (0, String::new());
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        let Some((name, value)) = header.split_once(':') else { continue };
        match name.to_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "authorization" => value.trim().clone_into(&mut authorization),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let asked = Asked { method, path, authorization, body: String::from_utf8_lossy(&body).into_owned() };
    let (status, answer, link) = reply(&asked, known);
    let text = answer.to_string();
    let stream = reader.get_mut();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: {}\r\n{link}\
         connection: close\r\n\r\n{text}",
        text.len()
    )?;
    stream.flush()
}

/// The status, the answer, and the header that leads to further pages.
fn reply(asked: &Asked, known: &Mutex<Known>) -> (&'static str, Value, String) {
    let mut known = lock(known);
    known.asked.push(asked.clone());
    if asked.authorization.is_empty() {
        return ("401 Unauthorized", json!({ "message": "Requires authentication" }), String::new());
    }
    if asked.method == "POST" && asked.path == "/api/graphql" {
        return ("200 OK", graphql(&known, &asked.body), String::new());
    }
    let path = asked.path.strip_prefix("/api/v3").unwrap_or(&asked.path);
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let of_repo = path.strip_prefix("/repos/").and_then(|path| path.strip_prefix(&known.repo));
    let found = of_repo.and_then(|path| path.strip_prefix("/pulls/")).and_then(|rest| {
        let (number, what) = rest.split_once('/').unwrap_or((rest, ""));
        let number: u64 = number.parse().ok()?;
        Some((known.requests.iter().find(|request| request.number == number)?, what))
    });
    match found {
        Some((request, "")) => ("200 OK", rest(&known.repo, request), String::new()),
        Some((request, "comments")) => {
            let page = Page::of(query);
            let whole = asked.path.split_once('?').map_or(asked.path.as_str(), |(path, _)| path);
            let link = page.next(request.comments.len(), &format!("{}{whole}", known.address));
            ("200 OK", page.cut(&request.comments), link)
        }
        _ => (
            "404 Not Found",
            json!({ "message": "Not Found", "documentation_url": "https://docs.github.com/rest" }),
            String::new(),
        ),
    }
}

/// Part of a list, as a query asks for it; no page has more than a hundred.
struct Page {
    size: usize,
    number: usize,
}

impl Page {
    fn of(query: &str) -> Self {
        let number = |name: &str, default: usize| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.filter(|(key, _)| *key == name).find_map(|(_, value)| value.parse().ok()).unwrap_or(default)
        };
        Self { size: number("per_page", 30).clamp(1, 100), number: number("page", 1).max(1) }
    }

    fn cut(&self, all: &[Value]) -> Value {
        all.iter().skip(self.size * (self.number - 1)).take(self.size).cloned().collect()
    }

    fn next(&self, all: usize, address: &str) -> String {
        let (size, next) = (self.size, self.number + 1);
        if size * self.number >= all {
            return String::new();
        }
        format!("link: <{address}?per_page={size}&page={next}>; rel=\"next\"\r\n")
    }
}

/// The query `PullRequestByNumber` of `gh pr view`.
fn graphql(known: &Known, body: &str) -> Value {
    let asked: Value = serde_json::from_str(body).unwrap_or_default();
    let variables = &asked["variables"];
    let number = variables["pr_number"].as_u64().unwrap_or_default();
    let repo =
        format!("{}/{}", variables["owner"].as_str().unwrap_or(""), variables["repo"].as_str().unwrap_or(""));
    let request = known.requests.iter().find(|request| repo == known.repo && request.number == number);
    let Some(request) = request else {
        let message = format!("Could not resolve to a PullRequest with the number of {number}.");
        let error = json!({ "type": "NOT_FOUND", "path": ["repository", "pullRequest"], "message": message });
        return json!({ "data": { "repository": { "pullRequest": null } }, "errors": [error] });
    };
    let (owner, name) = match request.head_repo.as_deref().and_then(|repo| repo.split_once('/')) {
        Some((owner, name)) => (json!({ "id": "U_2", "login": owner }), json!({ "id": "R_2", "name": name })),
        None => (Value::Null, Value::Null),
    };
    let found = json!({
        "id": "PR_1",
        "number": number,
        "title": request.title,
        "author": { "id": "U_1", "login": request.author, "name": request.author },
        "state": request.state.to_uppercase(),
        "url": url(known, request),
        "headRefName": request.head_branch,
        "headRepository": name,
        "headRepositoryOwner": owner,
        "baseRefName": "main",
        "isCrossRepository": request.head_repo.as_ref() != Some(&known.repo),
        "maintainerCanModify": request.maintainer_can_modify,
    });
    json!({ "data": { "repository": { "pullRequest": found } } })
}

fn rest(repo: &str, request: &PullRequest) -> Value {
    let of = |name: &String| json!({ "full_name": name });
    json!({
        "number": request.number,
        "title": request.title,
        "user": { "login": request.author },
        "state": if request.state == "open" { "open" } else { "closed" },
        "merged": request.state == "merged",
        "html_url": format!("https://code.example/{repo}/pull/{}", request.number),
        "head": { "ref": request.head_branch, "repo": request.head_repo.as_ref().map(of) },
        "base": { "ref": "main", "repo": { "full_name": repo } },
        "maintainer_can_modify": request.maintainer_can_modify,
    })
}

fn url(known: &Known, request: &PullRequest) -> String {
    format!("https://code.example/{}/pull/{}", known.repo, request.number)
}
