//! Reads `Content-Length` framed messages, within fixed bounds, and finds its way again after garbage.

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};

/// Largest message a client may send, in bytes. An open document arrives in one message.
pub(crate) const MAX_BODY: usize = 32 * 1024 * 1024;
/// Longest header line that is looked at.
const MAX_LINE: usize = 4 * 1024;
/// What is kept of a longer line: enough to find a header at its end.
const TAIL: usize = 256;

/// What came in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    Body(Vec<u8>),
    Fault(Fault),
}

/// Why what came in is no message. Reading goes on behind it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the message has no valid header")]
    Header,
    #[error("the message of {0} bytes is over the limit of {MAX_BODY} bytes")]
    TooLarge(u64),
    #[error("the message's charset is not utf-8")]
    Charset,
}

pub(crate) struct FrameReader<R> {
    input: BufReader<R>,
    line: Vec<u8>,
}

/// What the header lines of one message said so far.
#[derive(Default)]
struct Header {
    length: Option<u64>,
    garbage: bool,
    foreign_charset: bool,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input: BufReader::new(input), line: Vec::new() }
    }

    /// The next message or fault; `None` at the end of the input, also in the middle of a message.
    ///
    /// Not cancel safe: a dropped future may lose what it has read.
    pub(crate) async fn next(&mut self) -> std::io::Result<Option<Incoming>> {
        let mut header = Header::default();
        loop {
            if !self.read_line().await? {
                return Ok(None);
            }
            if !self.line.is_empty() {
                header.take(&self.line);
                continue;
            }
            match header.length {
                None if header.garbage => return Ok(Some(Incoming::Fault(Fault::Header))),
                None => header = Header::default(),
                Some(length) => return self.body(length, &header).await,
            }
        }
    }

    async fn body(&mut self, length: u64, header: &Header) -> std::io::Result<Option<Incoming>> {
        if length > MAX_BODY as u64 || header.foreign_charset {
            if !self.skip(length).await? {
                return Ok(None);
            }
            let fault = if header.foreign_charset { Fault::Charset } else { Fault::TooLarge(length) };
            return Ok(Some(Incoming::Fault(fault)));
        }
        let mut body = Vec::new();
        let read = (&mut self.input).take(length).read_to_end(&mut body).await?;
        Ok((read as u64 == length).then_some(Incoming::Body(body)))
    }

    /// Reads past `length` bytes without keeping them. False at the end of the input.
    async fn skip(&mut self, length: u64) -> std::io::Result<bool> {
        let mut left = length;
        while left > 0 {
            let available = self.input.fill_buf().await?.len();
            if available == 0 {
                return Ok(false);
            }
            let step = usize::try_from(left).unwrap_or(usize::MAX).min(available);
            self.input.consume(step);
            left -= step as u64;
        }
        Ok(true)
    }

    /// Fills `line` with the next line, without its end. False at the end of the input.
    async fn read_line(&mut self) -> std::io::Result<bool> {
        self.line.clear();
        loop {
            let available = self.input.fill_buf().await?;
            if available.is_empty() {
                return Ok(false);
            }
            let end = available.iter().position(|b| *b == b'\n');
            let taken = end.map_or(available.len(), |at| at + 1);
            self.line.extend_from_slice(&available[..end.unwrap_or(taken)]);
            self.input.consume(taken);
            if self.line.len() > MAX_LINE {
                self.line.drain(..self.line.len() - TAIL);
            }
            if end.is_some() {
                if self.line.last() == Some(&b'\r') {
                    self.line.pop();
                }
                return Ok(true);
            }
        }
    }
}

impl Header {
    fn take(&mut self, line: &[u8]) {
        let lower = line.to_ascii_lowercase();
        if let Some(at) = find(&lower, b"content-length:") {
            // Garbage in front of a header is skipped, so that one broken message does not cost the next one.
            let value = std::str::from_utf8(&line[at + b"content-length:".len()..]).unwrap_or_default();
            match value.trim().parse::<u64>() {
                Ok(length) if self.length.is_none_or(|l| l == length) => self.length = Some(length),
                _ => (self.length, self.garbage) = (None, true),
            }
        } else if lower.starts_with(b"content-type:") {
            let text = String::from_utf8_lossy(&lower);
            let charset = text.split(';').skip(1).find_map(|part| part.trim().strip_prefix("charset="));
            self.foreign_charset = charset.is_some_and(|c| !matches!(c.trim_matches('"'), "utf-8" | "utf8"));
        } else {
            self.garbage = true;
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(bytes: &[u8]) -> Vec<Incoming> {
        let mut reader = FrameReader::new(bytes);
        let mut found = Vec::new();
        while let Some(incoming) = reader.next().await.unwrap() {
            found.push(incoming);
        }
        found
    }

    fn body(text: &str) -> Incoming {
        Incoming::Body(text.as_bytes().to_vec())
    }

    #[tokio::test]
    async fn messages_are_read_whatever_the_case_and_order_of_their_headers() {
        let found =
            all(b"content-length: 2\r\nContent-Type: application/vscode-jsonrpc; charset=utf8\r\n\r\n{}\
            Content-Type: x\nContent-Length:3\n\n[1]")
            .await;
        assert_eq!(found, [body("{}"), body("[1]")]);
    }

    #[tokio::test]
    async fn a_message_behind_garbage_is_found() {
        let found = all(b"hello\r\n\r\n{\"x\":1}Content-Length: 2\r\n\r\n{}").await;
        assert_eq!(found, [Incoming::Fault(Fault::Header), body("{}")]);
    }

    #[tokio::test]
    async fn a_length_that_is_no_number_is_a_fault() {
        for length in ["x", "-1", "1e3", "99999999999999999999999", ""] {
            let found =
                all(format!("Content-Length: {length}\r\n\r\nContent-Length: 2\r\n\r\n{{}}").as_bytes())
                    .await;
            assert_eq!(found, [Incoming::Fault(Fault::Header), body("{}")], "{length}");
        }
    }

    #[tokio::test]
    async fn a_huge_message_is_skipped_and_the_next_one_read() {
        let size = MAX_BODY as u64 + 1;
        let head = format!("Content-Length: {size}\r\n\r\n");
        let input = head
            .as_bytes()
            .chain(tokio::io::repeat(b'x').take(size))
            .chain(&b"Content-Length: 2\r\n\r\n{}"[..]);
        let mut reader = FrameReader::new(input);
        assert_eq!(reader.next().await.unwrap(), Some(Incoming::Fault(Fault::TooLarge(size))));
        assert_eq!(reader.next().await.unwrap(), Some(body("{}")));
    }

    #[tokio::test]
    async fn a_line_without_end_takes_no_memory() {
        let mut reader = FrameReader::new(tokio::io::repeat(b'x').take(10_000_000));
        assert_eq!(reader.next().await.unwrap(), None);
        assert!(reader.line.capacity() < 64 * 1024);
    }

    #[tokio::test]
    async fn half_a_message_is_the_end() {
        assert_eq!(all(b"Content-Length: 10\r\n\r\n{}").await, []);
    }

    #[tokio::test]
    async fn a_foreign_charset_is_refused() {
        let found = all(b"Content-Length: 2\r\nContent-Type: a; charset=utf-16\r\n\r\n{}").await;
        assert_eq!(found, [Incoming::Fault(Fault::Charset)]);
    }
}
