//! `http.get`: one document of the web, without anybody's credentials.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use podium_pit::dag::{FailureKind, NodeCall, NodeError};
use reqwest::header::{
    AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION, SET_COOKIE,
};
use reqwest::{Client, Url, redirect::Policy};
use serde_json::{Map, Value, json};

use super::{Arguments, Bench, Outputs};

/// Largest document, in bytes: without and with a bound of the melody's own.
const USUAL: usize = 1024 * 1024;
const LARGEST: usize = 64 * 1024 * 1024;
const REDIRECTS: usize = 5;
const TIMEOUT: Duration = Duration::from_secs(60);

/// Outputs `body`, `status` and `headers`.
pub(super) async fn get(bench: &Bench, call: &NodeCall) -> Result<Outputs, NodeError> {
    let args = Arguments::of(bench, call).await?;
    let url = address(&args.address("url")?)?;
    let headers = headers(args.table("headers")?)?;
    bench.permit(call, &format!("fetches {url}"), None).await?;
    let fetch = fetch(url, headers, args.number("max_bytes")?.map_or(USUAL, |most| most.clamp(1, LARGEST)));
    let (status, told, body) = tokio::select! {
        fetched = fetch => fetched?,
        () = call.cancel.cancelled() => return Err(NodeError::new(FailureKind::Cancelled, "cancelled")),
    };
    bench.log(call, "note", &format!("{status}, {} bytes", body.len())).await;
    let body = Value::String(String::from_utf8_lossy(&body).into_owned());
    let body = bench.keep("body", "text/plain", "docs", body).await?;
    Ok(Outputs::from_iter([
        ("body".to_owned(), body),
        ("status".to_owned(), json!(status)),
        ("headers".to_owned(), Value::Object(told)),
    ]))
}

fn address(text: &str) -> Result<Url, NodeError> {
    let bad = |why: &str| NodeError::new(FailureKind::BadInput, format!("the address {why}"));
    let url = Url::parse(text).map_err(|error| bad(&format!("cannot be read: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("is neither of http nor of https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("carries credentials"));
    }
    Ok(url)
}

/// A melody lies in a repository: what it sends is no secret.
fn headers(table: BTreeMap<String, String>) -> Result<HeaderMap, NodeError> {
    let bad =
        |name: &str, why: &str| NodeError::new(FailureKind::BadInput, format!("the header `{name}` {why}"));
    let mut headers = HeaderMap::new();
    for (name, value) in table {
        let key = HeaderName::try_from(&name).map_err(|_| bad(&name, "has no valid name"))?;
        if [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION].contains(&key) {
            return Err(bad(&name, "carries credentials"));
        }
        headers.insert(key, HeaderValue::try_from(value).map_err(|_| bad(&name, "has no valid value"))?);
    }
    Ok(headers)
}

async fn fetch(
    url: Url,
    headers: HeaderMap,
    most: usize,
) -> Result<(u16, Map<String, Value>, Vec<u8>), NodeError> {
    let client = Client::builder()
        .redirect(Policy::limited(REDIRECTS))
        .timeout(TIMEOUT)
        .user_agent(concat!("podium/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| NodeError::new(FailureKind::Internal, error.to_string()))?;
    let response = client.get(url).headers(headers).send().await.map_err(|error| lost(&error))?;
    let status = response.status();
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        let secret = *name == SET_COOKIE;
        value.to_str().ok().filter(|_| !secret).map(|value| (name.to_string(), json!(value)))
    };
    let told = response.headers().iter().filter_map(text).collect();
    let mut body = Vec::new();
    let mut pieces = response.bytes_stream();
    while let Some(piece) = pieces.next().await {
        body.extend_from_slice(&piece.map_err(|error| lost(&error))?);
        if body.len() > most {
            let message = format!("the answer has more than {most} bytes");
            return Err(NodeError::new(FailureKind::LimitExceeded, message));
        }
    }
    if !status.is_success() {
        let kind = if status.is_server_error() || status.as_u16() == 429 {
            FailureKind::Unavailable
        } else {
            FailureKind::BadInput
        };
        return Err(NodeError::new(kind, format!("the server answers {status}")));
    }
    Ok((status.as_u16(), told, body))
}

fn lost(error: &reqwest::Error) -> NodeError {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    NodeError::new(FailureKind::Unavailable, message)
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn an_address_is_of_the_web_and_has_no_credentials() {
        assert!(address("https://example.org/a?b=c").is_ok());
        for bad in ["file:///etc/passwd", "ftp://x/y", "http://user:word@example.org/", "nothing"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
