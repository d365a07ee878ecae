//! The agents that the configuration names, one text each: `NAME FORMAT COMMAND...`.

use podium_config::Config;

/// The setting.
const KEY: &str = "sessions.agents";

/// What an agent's output is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    /// One JSON object a line.
    Json,
    /// The Agent Client Protocol.
    Acp,
}

/// A program that is an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Agent {
    pub(crate) name: String,
    pub(crate) argv: Vec<String>,
    pub(crate) format: Format,
}

/// All that are configured and can be read.
pub(crate) fn agents(config: &Config) -> Vec<Agent> {
    config.list(KEY).into_iter().filter_map(agent).collect()
}

fn agent(text: &str) -> Option<Agent> {
    let mut words = shlex::split(text)?.into_iter();
    let (name, format) = (words.next()?, words.next()?);
    let format = match format.as_str() {
        "text" => Format::Text,
        "json" => Format::Json,
        "acp" => Format::Acp,
        _ => return None,
    };
    let argv: Vec<String> = words.collect();
    (!argv.is_empty()).then_some(Agent { name, argv, format })
}

/// The agent asked for, else the first that speaks so.
///
/// # Errors
/// What to configure.
pub(crate) fn choose(
    config: &Config,
    wanted: Option<&str>,
    fits: impl Fn(Format) -> bool,
) -> Result<Agent, String> {
    let known: Vec<Agent> = agents(config).into_iter().filter(|agent| fits(agent.format)).collect();
    let found = match wanted {
        Some(name) => known.iter().find(|agent| agent.name == name),
        None => known.first(),
    };
    found.cloned().ok_or_else(|| match (wanted, known.as_slice()) {
        (_, []) => format!(
            "no agent is configured; add one to `{KEY}`: \"NAME text|json|acp COMMAND\", for example \
             \"claude json claude -p --verbose --output-format stream-json\""
        ),
        (wanted, known) => {
            let names: Vec<&str> = known.iter().map(|agent| agent.name.as_str()).collect();
            format!("there is no agent `{}`; configured are {}", wanted.unwrap_or_default(), names.join(", "))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_has_a_name_a_format_and_a_command_line() {
        let expected = Agent {
            name: "claude".into(),
            argv: ["claude", "-p", "two words"].map(str::to_owned).into(),
            format: Format::Json,
        };
        assert_eq!(agent("claude json claude -p 'two words'"), Some(expected));
        for wrong in ["", "claude", "claude json", "claude xml claude", "a text 'unclosed"] {
            assert_eq!(agent(wrong), None, "{wrong}");
        }
    }
}
