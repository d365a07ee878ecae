//! The agents that the configuration names, one text each: `NAME FORMAT[,WORD...] COMMAND...`. The words behind the format
//! say what this agent gets beside its worktree.

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
    pub(crate) given: Given,
}

/// What an agent gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Given {
    /// Instead of `sandbox.network`.
    pub(crate) network: Option<bool>,
    /// Paths as they are written.
    pub(crate) read: Vec<String>,
    pub(crate) write: Vec<String>,
    /// It works unconfined: a person wrote so.
    pub(crate) unsandboxed: bool,
}

impl Agent {
    /// As a list of providers shows it.
    pub(crate) fn shown(&self) -> String {
        let words = [
            (self.given.network == Some(true)).then_some("network"),
            self.given.unsandboxed.then_some("UNSANDBOXED"),
        ];
        let words: Vec<&str> = words.into_iter().flatten().collect();
        if words.is_empty() { self.name.clone() } else { format!("{} ({})", self.name, words.join(", ")) }
    }
}

/// All that are configured and can be read.
pub(crate) fn agents(config: &Config) -> Vec<Agent> {
    config.list(KEY).into_iter().filter_map(agent).collect()
}

/// One whose words are not understood is none: it would get something else than is written.
fn agent(text: &str) -> Option<Agent> {
    let mut words = shlex::split(text)?.into_iter();
    let (name, format) = (words.next()?, words.next()?);
    let mut parts = format.split(',');
    let format = match parts.next()? {
        "text" => Format::Text,
        "json" => Format::Json,
        "acp" => Format::Acp,
        _ => return None,
    };
    let mut given = Given::default();
    for part in parts {
        match part.split_once('=') {
            None if part == "network" => given.network = Some(true),
            None if part == "no-network" => given.network = Some(false),
            None if part == "unsandboxed" => given.unsandboxed = true,
            Some(("read", path)) if is_path(path) => given.read.push(path.to_owned()),
            Some(("write", path)) if is_path(path) => given.write.push(path.to_owned()),
            _ => return None,
        }
    }
    let argv: Vec<String> = words.collect();
    (!argv.is_empty()).then_some(Agent { name, argv, format, given })
}

fn is_path(text: &str) -> bool {
    text.starts_with('/') || text.starts_with("~/")
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
             \"claude json,network,write=~/.claude claude -p --verbose --output-format stream-json\""
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
            given: Given::default(),
        };
        assert_eq!(agent("claude json claude -p 'two words'"), Some(expected));
        let wrong = ["", "claude", "claude json", "claude xml claude", "a text 'unclosed", "a text,net a"];
        for wrong in wrong.into_iter().chain(["a text,write=here a", "a text,Unsandboxed a", "a text, a"]) {
            assert_eq!(agent(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_an_agent_gets_stands_behind_its_format() {
        let found = agent("c acp,network,write=~/.claude,read=/opt/x,write='/a b' claude").unwrap();
        let expected = Given {
            network: Some(true),
            read: vec!["/opt/x".into()],
            write: vec!["~/.claude".into(), "/a b".into()],
            unsandboxed: false,
        };
        assert_eq!((found.given, found.argv), (expected, vec!["claude".to_owned()]));
        let found = agent("c text,unsandboxed,network c").unwrap();
        assert_eq!(found.shown(), "c (network, UNSANDBOXED)");
        assert_eq!(agent("c text,no-network c").unwrap().given.network, Some(false));
    }
}
