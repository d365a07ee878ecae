//! A download that goes on where it stopped.

use super::source::{Clients, describe};
use super::{FetchPhase, FetchProgress, Report, write_error};
use crate::catalogue::PinnedFile;
use crate::error::{ModelError, Result};
use reqwest::{Response, StatusCode, header};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use url::Url;

/// Attempts in a row that brought nothing, before giving up.
const FRUITLESS_ATTEMPTS: u32 = 5;
/// Attempts in all: a connection that drops after every few bytes ends too.
const ATTEMPTS: u32 = 200;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Bytes between progress reports.
const REPORT_EVERY: u64 = 256 << 10;

/// How one attempt ended, if it did not end well.
enum Failure {
    /// Trying again may help.
    Passing(String),
    Final(ModelError),
}

/// Appends to `part` until it has the pinned size, over as many connections as it takes.
pub(super) async fn resume(
    clients: &Clients,
    url: Url,
    pinned: &PinnedFile,
    part: &Path,
    report: Report<'_>,
) -> Result<()> {
    let mut fruitless = 0;
    let mut reason = String::new();
    for _ in 0..ATTEMPTS {
        let before = length(part);
        match attempt(clients, &url, pinned, part, report).await {
            Ok(()) => return Ok(()),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Passing(why)) => reason = why,
        }
        fruitless = if length(part) > before { 0 } else { fruitless + 1 };
        if fruitless >= FRUITLESS_ATTEMPTS {
            break;
        }
        tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(fruitless)).await;
    }
    Err(ModelError::Download { file: pinned.name.to_owned(), reason })
}

fn length(part: &Path) -> u64 {
    fs::metadata(part).map_or(0, |file| file.len())
}

async fn attempt(
    clients: &Clients,
    url: &Url,
    pinned: &PinnedFile,
    part: &Path,
    report: Report<'_>,
) -> std::result::Result<(), Failure> {
    let have = length(part);
    if have > pinned.bytes {
        discard(part);
        return Err(Failure::Passing("what was downloaded is too long".to_owned()));
    }
    let mut request = clients.for_url(url).get(url.clone());
    if have > 0 {
        request = request.header(header::RANGE, format!("bytes={have}-"));
    }
    let response = request.send().await.map_err(|error| Failure::Passing(describe(error)))?;
    let start = match response.status() {
        StatusCode::PARTIAL_CONTENT if range_start(&response) == Some(have) => have,
        StatusCode::OK => 0,
        StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
            discard(part);
            return Err(Failure::Passing("the server does not go on where the download stopped".to_owned()));
        }
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            return Err(Failure::Passing(format!("the server answers {status}")));
        }
        status => {
            let reason = format!("the server answers {status}");
            return Err(Failure::Final(ModelError::Download { file: pinned.name.to_owned(), reason }));
        }
    };
    append(response, start, pinned, part, report).await
}

async fn append(
    mut response: Response,
    start: u64,
    pinned: &PinnedFile,
    part: &Path,
    report: Report<'_>,
) -> std::result::Result<(), Failure> {
    let failed = || {
        let write_error = write_error(part, pinned.bytes);
        |error| Failure::Final(write_error(error))
    };
    let mut file = File::options().create(true).append(true).open(part).map_err(failed())?;
    file.set_len(start).map_err(failed())?;
    let mut bytes = start;
    let mut reported = start;
    let progress = |bytes| FetchProgress { phase: FetchPhase::Downloading, bytes, total: pinned.bytes };
    report(progress(bytes));
    while let Some(chunk) = response.chunk().await.map_err(|error| Failure::Passing(describe(error)))? {
        bytes += chunk.len() as u64;
        if bytes > pinned.bytes {
            discard(part);
            let reason = format!("the server sends more than the expected {} bytes", pinned.bytes);
            return Err(Failure::Final(ModelError::Download { file: pinned.name.to_owned(), reason }));
        }
        file.write_all(&chunk).map_err(failed())?;
        if bytes - reported >= REPORT_EVERY || bytes == pinned.bytes {
            reported = bytes;
            report(progress(bytes));
        }
    }
    if bytes < pinned.bytes {
        return Err(Failure::Passing(format!(
            "the connection ended after {bytes} of {} bytes",
            pinned.bytes
        )));
    }
    Ok(())
}

/// Where a partial answer begins, by its `Content-Range: bytes START-END/TOTAL`.
fn range_start(response: &Response) -> Option<u64> {
    let range = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

fn discard(part: &Path) {
    let _ = fs::remove_file(part);
}
