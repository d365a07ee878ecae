//! Turns a message body into what the service layer takes, forgiving what clients are known to do differently.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Value, json};
use tower_lsp::jsonrpc::{Error, ErrorCode, Id, Request, Response};

/// Characters that RFC 3986 forbids in a path and some editors leave as they are (`[slug].tsx`).
const ILLEGAL: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b']')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Name under which the id of an LSP request travels to the handlers whose notifications name it.
pub(crate) const REQUEST_ID: &str = "lspRequest";

pub(crate) enum Sifted {
    Request(Request),
    Response(Response),
    /// No message of JSON-RPC: to be answered.
    Refused(Response),
    /// A response that cannot be understood: nothing is answered to an answer.
    Ignored,
}

pub(crate) fn sift(body: &[u8]) -> Sifted {
    let Ok(mut message) = serde_json::from_slice::<Value>(body) else {
        return Sifted::Refused(Response::from_error(Id::Null, Error::parse_error()));
    };
    if message.get("method").is_some() {
        let id = request_id(&message);
        mend(&mut message);
        return match serde_json::from_value(message) {
            Ok(request) => Sifted::Request(request),
            Err(error) => Sifted::Refused(invalid(id, &error.to_string())),
        };
    }
    if message.get("result").is_some() || message.get("error").is_some() {
        return serde_json::from_value(message).map_or(Sifted::Ignored, Sifted::Response);
    }
    Sifted::Refused(invalid(request_id(&message), "neither a request nor a response"))
}

fn invalid(id: Id, why: &str) -> Response {
    let message = format!("Invalid request: {why}").into();
    Response::from_error(id, Error { code: ErrorCode::InvalidRequest, message, data: None })
}

fn request_id(message: &Value) -> Id {
    message.get("id").and_then(|id| serde_json::from_value(id.clone()).ok()).unwrap_or(Id::Null)
}

fn mend(message: &mut Value) {
    let Some(method) = message["method"].as_str().map(str::to_owned) else { return };
    let id = message.get("id").cloned();
    let takes_object = method == "initialized" || method.starts_with("podium/");
    if takes_object && message.get("params").is_none_or(Value::is_null) {
        message["params"] = json!({});
    }
    let Some(params) = message.get_mut("params") else { return };
    encode_uris(params);
    if method == "workspace/executeCommand" && params["arguments"].is_null() && params.is_object() {
        params["arguments"] = json!([]);
    }
    if let (true, Some(id), Some(fields)) = (method.starts_with("podium/"), id, params.as_object_mut()) {
        fields.insert(REQUEST_ID.to_owned(), id);
    }
}

/// Encodes what a URI must not hold, in the places where the protocol has one.
fn encode_uris(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::String(uri) if matches!(name.as_str(), "uri" | "rootUri") => {
                        let encoded = utf8_percent_encode(uri, ILLEGAL).to_string();
                        if encoded != *uri {
                            *uri = encoded;
                        }
                    }
                    Value::Object(_) | Value::Array(_) => encode_uris(field),
                    _ => {}
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(encode_uris),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Request {
        match sift(text.as_bytes()) {
            Sifted::Request(request) => request,
            _ => panic!("a request"),
        }
    }

    fn refusal(text: &str) -> (Id, i64) {
        match sift(text.as_bytes()) {
            Sifted::Refused(response) => {
                let (id, body) = response.into_parts();
                (id, body.unwrap_err().code.code())
            }
            _ => panic!("a refusal"),
        }
    }

    #[test]
    fn brackets_and_spaces_in_paths_become_legal() {
        let found = request(
            r#"{"jsonrpc":"2.0","method":"x","params":{"textDocument":{"uri":"file:///a b/[s]é.ts"}}}"#,
        );
        assert_eq!(found.params().unwrap()["textDocument"]["uri"], "file:///a%20b/%5Bs%5D%C3%A9.ts");
    }

    #[test]
    fn absent_parameters_are_forgiven() {
        assert_eq!(request(r#"{"jsonrpc":"2.0","method":"initialized"}"#).params(), Some(&json!({})));
        let command = r#"{"jsonrpc":"2.0","id":1,"method":"workspace/executeCommand","params":{"command":"x","arguments":null}}"#;
        assert_eq!(request(command).params().unwrap()["arguments"], json!([]));
    }

    #[test]
    fn what_is_no_message_is_answered_with_the_right_code() {
        assert_eq!(refusal("{"), (Id::Null, -32700));
        assert_eq!(refusal("\u{0}\u{1}"), (Id::Null, -32700));
        assert_eq!(refusal("[]"), (Id::Null, -32600));
        assert_eq!(refusal("3"), (Id::Null, -32600));
        assert_eq!(refusal(r#"{"id":7}"#), (Id::Number(7), -32600));
        assert_eq!(refusal(r#"{"jsonrpc":"1.0","id":"a","method":"x"}"#), (Id::String("a".into()), -32600));
        assert_eq!(refusal(r#"{"jsonrpc":"2.0","id":{},"method":3}"#), (Id::Null, -32600));
        assert_eq!(refusal(&"[".repeat(100_000)), (Id::Null, -32700));
        assert_eq!(refusal(std::str::from_utf8(b"{\"a\":1}x").unwrap()), (Id::Null, -32700));
    }
}
