//! `config/*`.

use podium_config::{KEYS, set_in_file};
use podium_protocol::{ConfigGetParams, ConfigSetParams, ConfigValue, ConfigValues, WireError};

use crate::call::Call;

pub(crate) async fn get(call: Call, params: ConfigGetParams) -> Result<ConfigValues, WireError> {
    values(&call, params.key.as_deref())
}

pub(crate) async fn set(call: Call, params: ConfigSetParams) -> Result<ConfigValues, WireError> {
    let key = KEYS.iter().find(|k| k.name == params.key).ok_or_else(|| unknown(&params.key))?;
    let value = (!params.value.is_null()).then_some(&params.value);
    if let Some(value) = value {
        key.check(value).map_err(|problem| WireError::usage(format!("`{}` {problem}", key.name)))?;
    }
    let path = call.daemon.home.config_file();
    set_in_file(&path, key.name, value).map_err(|e| {
        let cause = std::error::Error::source(&e).map(|s| format!(": {s}")).unwrap_or_default();
        WireError::unavailable(format!("{e}{cause}"))
    })?;
    call.daemon.config.reload().map_err(|e| WireError::user(e.to_string()))?;
    call.daemon.worktrees.settings_changed().await;
    values(&call, Some(key.name))
}

fn values(call: &Call, wanted: Option<&str>) -> Result<ConfigValues, WireError> {
    let config = call.daemon.config.get();
    let values: Vec<ConfigValue> = config
        .entries()
        .filter(|(key, ..)| wanted.is_none_or(|w| key.name == w || key.name.starts_with(&format!("{w}."))))
        .map(|(key, value, source)| ConfigValue {
            key: key.name.to_owned(),
            value: value.clone(),
            source: source.to_string(),
            help: key.help.to_owned(),
        })
        .collect();
    match wanted {
        Some(name) if values.is_empty() => Err(unknown(name)),
        _ => Ok(ConfigValues { values }),
    }
}

fn unknown(name: &str) -> WireError {
    WireError::not_found(format!("`{name}` is not a setting")).hint("`podium config get` lists all")
}
