//! `podium config`.

use podium_cli::context::Context;
use podium_cli::output::Ending;
use podium_cli::style::Painter;
use podium_cli::table::Rows;
use podium_protocol::{ConfigGet, ConfigGetParams, ConfigSet, ConfigSetParams, ConfigValue, ConfigValues};
use serde_json::Value;

use crate::args::ConfigCommand;

pub(crate) async fn run(context: &Context, command: ConfigCommand) -> Ending {
    let client = context.client()?;
    let values = match command {
        ConfigCommand::Get { key } => client.call::<ConfigGet>(ConfigGetParams { key }).await?,
        ConfigCommand::Set { key, value } => {
            client.call::<ConfigSet>(ConfigSetParams { key, value: read_value(&value) }).await?
        }
        ConfigCommand::Unset { key } => {
            client.call::<ConfigSet>(ConfigSetParams { key, value: Value::Null }).await?
        }
    };
    context.output.reply(&values, |paint| render(&values, paint))?;
    Ok(0)
}

/// JSON where it is JSON, so that numbers and lists can be given; `null` would unset, and stays a text.
fn read_value(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(Value::Null) | Err(_) => Value::String(text.to_owned()),
        Ok(value) => value,
    }
}

fn render(values: &ConfigValues, paint: Painter) -> String {
    let mut rows = Rows::new(&["KEY", "VALUE", "SOURCE", "HELP"]);
    for ConfigValue { key, value, source, help } in &values.values {
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        rows.push([key.clone(), shown, source.clone(), help.clone()]);
    }
    rows.render(paint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_json_where_they_can_be() {
        let read = ["7", "true", "[1]", "plain text", "null", "\"7\""].map(read_value);
        assert_eq!(read, [json!(7), json!(true), json!([1]), json!("plain text"), json!("null"), json!("7")]);
    }
}
