//! `json.query`: a part of a value, by a path such as `.files[0].name` or a JSONPath (RFC 9535).

use podium_pit::dag::{NodeCall, NodeError};
use serde_json::Value;
use serde_json_path::JsonPath;

use super::arguments::bad;
use super::files::blocking;
use super::{Arguments, Bench, Outputs};

/// Outputs `out`: the part, null where there is none. A path that may lead to several parts gives a list.
pub(super) async fn run(bench: &Bench, call: &NodeCall) -> Result<Outputs, NodeError> {
    let args = Arguments::of(bench, call).await?;
    let query = args.text("query")?;
    let json = args.value("in")?.ok_or_else(|| bad("`in` is missing"))?;
    let part = blocking(move || find(&query, json)).await?;
    Ok(Outputs::from_iter([("out".to_owned(), part)]))
}

fn find(query: &str, json: Value) -> Result<Value, NodeError> {
    let query = query.trim();
    let path = if query.starts_with('$') {
        query.to_owned()
    } else if query == "." {
        "$".to_owned()
    } else {
        format!("${}", query.replace("[]", "[*]").replacen(".[", "[", usize::from(query.starts_with(".["))))
    };
    let several = ["[*]", ".*", "..", "[?", ":", ","].iter().any(|sign| path.contains(sign));
    let path = JsonPath::parse(&path).map_err(|error| bad(format!("the query is wrong: {error}")))?;
    // A text may hold the JSON: what a command printed, or a model said.
    let json = match &json {
        Value::String(text) => {
            serde_json::from_str(text).map_err(|error| bad(format!("the text is no JSON: {error}")))?
        }
        _ => json,
    };
    let found = path.query(&json).all().into_iter().cloned();
    Ok(if several { Value::Array(found.collect()) } else { found.into_iter().next().unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::find;

    #[test]
    fn a_path_finds_parts_of_json_and_of_text_that_holds_json() {
        let value = json!({ "a": [{ "b": 1 }, { "b": 2 }] });
        let found = |query: &str| find(query, value.clone()).unwrap();
        assert_eq!(found(".a[1].b"), json!(2));
        assert_eq!(found(".a[].b"), json!([1, 2]));
        assert_eq!(found("."), value);
        assert_eq!(found(".none"), Value::Null);
        assert_eq!(found("$.a[?@.b > 1].b"), json!([2]));
        assert_eq!(find(".[0]", json!("[7]")).unwrap(), json!(7));
        assert!(find("[", value.clone()).is_err());
        assert!(find(".", json!("no json")).is_err());
    }
}
