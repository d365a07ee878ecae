//! Framing as the base protocol has it. Strict in what is read: a server that is sloppy fails.

use std::io::{self, BufRead, Write};

use serde_json::Value;

/// Largest message a server may send here, in bytes.
const MAX_MESSAGE: usize = 64 * 1024 * 1024;

/// Reads one message. `Ok(None)` at the end of the stream.
pub(super) fn read(input: &mut impl BufRead) -> Result<Option<Value>, String> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if input.read_line(&mut line).map_err(|e| e.to_string())? == 0 {
            return if length.is_none() { Ok(None) } else { Err("the stream ends in a header".into()) };
        }
        let Some(field) = line.strip_suffix("\r\n") else {
            return Err(format!("a header line does not end with CRLF: {line:?}"));
        };
        if field.is_empty() {
            break;
        }
        match field.split_once(": ") {
            Some(("Content-Length", value)) => {
                length = Some(value.parse::<usize>().map_err(|e| format!("{e}: {field:?}"))?);
            }
            Some(("Content-Type", _)) => {}
            _ => return Err(format!("this is no header of the protocol: {field:?}")),
        }
    }
    let length = length.filter(|length| *length <= MAX_MESSAGE).ok_or("no usable Content-Length")?;
    let mut body = vec![0; length];
    input.read_exact(&mut body).map_err(|e| format!("the stream ends in a message: {e}"))?;
    let message: Value = serde_json::from_slice(&body).map_err(|e| format!("{e}: not JSON"))?;
    if message["jsonrpc"] == "2.0" { Ok(Some(message)) } else { Err(format!("not JSON-RPC 2.0: {message}")) }
}

pub(super) fn write(output: &mut impl Write, message: &Value) -> io::Result<()> {
    let body = message.to_string();
    output.write_all(format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes())?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_is_read_and_sloppiness_is_told() {
        let message = json!({"jsonrpc": "2.0", "id": 1, "result": "é"});
        let mut bytes = Vec::new();
        write(&mut bytes, &message).unwrap();
        assert_eq!(read(&mut &bytes[..]), Ok(Some(message)));
        assert_eq!(read(&mut &b""[..]), Ok(None));
        for sloppy in [
            "Content-Length: 2\n\n{}",
            "content-length: 2\r\n\r\n{}",
            "Content-Length: 2\r\n\r\n{}",
            "log\r\n",
        ] {
            assert!(read(&mut sloppy.as_bytes()).is_err(), "{sloppy:?}");
        }
    }
}
