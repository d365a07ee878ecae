//! Configuration files: TOML, YAML or JSON, by their ending; flattened to dotted names.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

/// Largest configuration file, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum ConfigFileError {
    #[error("{} cannot be read", .path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} cannot be written", .path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("{} is over 1 MiB", .path.display())]
    TooLarge { path: PathBuf },
    #[error("{}: {message}", .path.display())]
    Syntax { path: PathBuf, message: String },
}

/// The file's settings as dotted names. A file that is not there has none.
pub(crate) fn read_flat(path: &Path) -> Result<Vec<(String, Value)>, ConfigFileError> {
    let read = |source| ConfigFileError::Read { path: path.to_owned(), source };
    match std::fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(read(e)),
        Ok(meta) if meta.len() > MAX_BYTES => {
            return Err(ConfigFileError::TooLarge { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    let text = std::fs::read_to_string(path).map_err(read)?;
    let value =
        parse(path, &text).map_err(|message| ConfigFileError::Syntax { path: path.to_owned(), message })?;
    let mut flat = Vec::new();
    flatten("", &value, &mut flat);
    Ok(flat)
}

fn parse(path: &Path, text: &str) -> Result<Map<String, Value>, String> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("json") => serde_json::from_str(text).map_err(|e| e.to_string()),
        Some("yaml" | "yml") => serde_yaml_ng::from_str::<Option<_>>(text)
            .map(Option::unwrap_or_default)
            .map_err(|e| e.to_string()),
        _ => toml::from_str(text).map_err(|e| e.to_string()),
    }
}

fn flatten(prefix: &str, map: &Map<String, Value>, out: &mut Vec<(String, Value)>) {
    for (name, value) in map {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Object(inner) => flatten(&key, inner, out),
            other => out.push((key, other.clone())),
        }
    }
}

/// Sets one dotted key in a TOML file, or takes it out with `None`. Comments and order stay; the file is replaced
/// in one step.
///
/// # Errors
/// When the file cannot be read, is no TOML, or cannot be replaced.
pub fn set_in_file(path: &Path, key: &str, value: Option<&Value>) -> Result<(), ConfigFileError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(ConfigFileError::Read { path: path.to_owned(), source }),
    };
    let syntax = |message: String| ConfigFileError::Syntax { path: path.to_owned(), message };
    let mut document: toml_edit::DocumentMut =
        text.parse().map_err(|e: toml_edit::TomlError| syntax(e.to_string()))?;
    let Some((section, name)) = key.split_once('.') else {
        set_tables(&mut document, key, value).ok_or_else(|| syntax(format!("`{key}` cannot be set")))?;
        return replace(path, &document.to_string())
            .map_err(|source| ConfigFileError::Write { path: path.to_owned(), source });
    };
    let table = document.entry(section).or_insert_with(toml_edit::table);
    let table = table.as_table_like_mut().ok_or_else(|| syntax(format!("`{section}` is not a table")))?;
    match value {
        None => {
            table.remove(name);
        }
        Some(value) => {
            table.insert(name, to_item(value).ok_or_else(|| syntax(format!("`{key}` cannot hold {value}")))?);
        }
    }
    replace(path, &document.to_string())
        .map_err(|source| ConfigFileError::Write { path: path.to_owned(), source })
}

/// Replaces all `[[key]]` tables.
fn set_tables(document: &mut toml_edit::DocumentMut, key: &str, value: Option<&Value>) -> Option<()> {
    document.remove(key);
    let Some(value) = value else { return Some(()) };
    let mut tables = toml_edit::ArrayOfTables::new();
    for entry in value.as_array()? {
        let mut table = toml_edit::Table::new();
        for (name, value) in entry.as_object()? {
            table.insert(name, to_item(value)?);
        }
        tables.push(table);
    }
    if !tables.is_empty() {
        document.insert(key, toml_edit::Item::ArrayOfTables(tables));
    }
    Some(())
}

fn to_item(value: &Value) -> Option<toml_edit::Item> {
    match value {
        Value::Bool(b) => Some(toml_edit::value(*b)),
        Value::Number(n) => n.as_i64().map(toml_edit::value).or_else(|| n.as_f64().map(toml_edit::value)),
        Value::String(s) => Some(toml_edit::value(s.as_str())),
        Value::Array(items) => {
            let items: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            Some(toml_edit::value(toml_edit::Array::from_iter(items?)))
        }
        _ => None,
    }
}

fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let temporary = path.with_extension("toml.new");
    let mut file = std::fs::File::create(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn setting_a_key_keeps_comments_and_can_be_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, "# mine\n[log]\nlevel = \"info\" # quiet\n").unwrap();
        set_in_file(&path, "claims.heartbeat_seconds", Some(&json!(60))).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.contains("# mine") && text.contains("# quiet") && text.contains("heartbeat_seconds = 60")
        );
        set_in_file(&path, "claims.heartbeat_seconds", None).unwrap();
        assert!(!std::fs::read_to_string(&path).unwrap().contains("heartbeat_seconds"));
    }

    #[test]
    fn tables_are_written_as_a_person_writes_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, "# mine\n[log]\nlevel = \"info\"\n").unwrap();
        let rules = json!([{ "decision": "allow", "tool": "run_command", "command": "cargo *" }]);
        set_in_file(&path, "permission", Some(&rules)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("# mine") && text.contains("[[permission]]\n"), "{text}");
        assert!(read_flat(&path).unwrap().contains(&("permission".to_owned(), rules)));
        set_in_file(&path, "permission", None).unwrap();
        assert!(!std::fs::read_to_string(&path).unwrap().contains("permission"));
    }

    #[test]
    fn a_syntax_error_says_where() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, "[log\n").unwrap();
        let error = read_flat(&path).unwrap_err().to_string();
        assert!(error.contains("config.toml") && error.contains("line 1"), "{error}");
    }

    #[test]
    fn an_empty_yaml_file_has_no_settings() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.yaml");
        std::fs::write(&path, "").unwrap();
        assert_eq!(read_flat(&path).unwrap(), vec![]);
    }
}
