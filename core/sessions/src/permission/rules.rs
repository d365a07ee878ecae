//! The person's rules, and what holds where there is none.

use std::path::Path;

use globset::{Glob, GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};
use podium_config::Config;
use podium_protocol::{InboxDecision, PermissionGrant};
use podium_secrets::is_secret_path;

use super::Request;
use super::command::{self, Line};
use crate::tools::{self, PathPolicy};

/// Name of the setting.
const KEY: &str = "permission";

/// What a rule says, the strictest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    Allow,
    Ask,
    Deny,
}

/// Where a verdict comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    Default,
    /// The rule, as it is written.
    Rule(String),
    /// Who gave the lasting answer.
    Grant(String),
}

/// All rules of the configuration, in its order.
#[derive(Debug)]
pub(super) struct Rules {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    tool: String,
    command: Option<String>,
    path: Option<PathPattern>,
    verdict: Verdict,
    written: String,
}

impl Rules {
    pub(super) fn of(config: &Config) -> Self {
        let rules = config.tables(KEY).into_iter().filter_map(|table| {
            let tool = (*table.get("tool")?).to_owned();
            let command = table.get("command").map(|c| (*c).to_owned());
            let verdict = match *table.get("decision")? {
                "allow" => Verdict::Allow,
                "deny" => Verdict::Deny,
                _ => Verdict::Ask,
            };
            let path = match table.get("path") {
                None => None,
                Some(pattern) => match PathPattern::new(pattern) {
                    Some(pattern) => Some(pattern),
                    None => {
                        tracing::warn!(
                            pattern,
                            "a permission rule has a path that is no pattern: it denies the tool"
                        );
                        return Some(Rule {
                            tool,
                            command,
                            path: None,
                            verdict: Verdict::Deny,
                            written: (*pattern).to_owned(),
                        });
                    }
                },
            };
            let part =
                |name: &str| table.get(name).map(|value| format!(" {name}=\"{value}\"")).unwrap_or_default();
            let written = format!("tool=\"{tool}\"{}{}", part("command"), part("path"));
            Some(Rule { tool, command, path, verdict, written })
        });
        Self { rules: rules.collect() }
    }

    /// Which paths a tool may open, whatever way it comes to them. What must not be read is not found either.
    pub(super) fn paths(&self, tool: &str) -> PathPolicy {
        let globs = |verdict: Verdict, secret: bool| {
            let rules = self.rules.iter().filter(|rule| {
                let fits = rule.fits_tool(tool) || (tool == "search" && rule.fits_tool("read_file"));
                fits && rule.command.is_none() && rule.verdict == verdict
            });
            let patterns =
                rules.filter_map(|rule| rule.path.as_ref()).filter(|path| !secret || path.is_secret);
            let mut set = GlobSetBuilder::new();
            for glob in patterns.flat_map(|pattern| &pattern.globs) {
                set.add(glob.glob().clone());
            }
            set.build().unwrap_or_else(|_| GlobSet::empty())
        };
        PathPolicy { secrets_allowed: globs(Verdict::Allow, true), denied: globs(Verdict::Deny, false) }
    }

    /// What holds for a request: the strictest of what holds for its parts.
    pub(super) fn judge(
        &self,
        request: &Request,
        grants: &[PermissionGrant],
        claimed: bool,
    ) -> (Verdict, Origin) {
        let paths: Vec<Option<&Path>> = match request.paths.as_slice() {
            [] => vec![None],
            paths => paths.iter().map(|path| Some(path.as_path())).collect(),
        };
        let line = request.command.as_deref().map(command::split);
        let parts: Vec<Part<'_>> =
            paths.iter().flat_map(|path| Part::all(request, *path, line.as_ref())).collect();
        if let Some(rule) =
            self.rules.iter().find(|rule| rule.verdict == Verdict::Deny && rule.hits(request, &parts))
        {
            return (Verdict::Deny, Origin::Rule(rule.written.clone()));
        }
        if request.paths.iter().any(|path| is_secret_path(path) && !self.names_secret(&request.tool, path)) {
            return (Verdict::Deny, Origin::Default);
        }
        if let Some(granted) = granted(request, grants) {
            return granted;
        }
        let verdicts = parts.iter().map(|part| self.first_fit(part, &request.tool, claimed));
        verdicts.max_by_key(|(verdict, _)| *verdict).unwrap_or((Verdict::Ask, Origin::Default))
    }

    fn first_fit(&self, part: &Part<'_>, tool: &str, claimed: bool) -> (Verdict, Origin) {
        let fitting = self.rules.iter().find(|rule| rule.verdict != Verdict::Deny && rule.fits(tool, part));
        fitting.map_or_else(
            || (default_of(tool, claimed), Origin::Default),
            |rule| (rule.verdict, Origin::Rule(rule.written.clone())),
        )
    }

    fn names_secret(&self, tool: &str, path: &Path) -> bool {
        self.paths(tool).secrets_allowed.is_match(path)
    }
}

impl Rule {
    fn fits_tool(&self, tool: &str) -> bool {
        command::fits(&self.tool, tool)
    }

    fn fits(&self, tool: &str, part: &Part<'_>) -> bool {
        let command = match (&self.command, part.command) {
            (None, _) => true,
            (Some(_), None) => false,
            // Whoever writes the command in full vouches for all of it.
            (Some(pattern), Some(command)) => {
                pattern == part.whole
                    || ((!part.more || self.verdict != Verdict::Allow) && command::fits(pattern, command))
            }
        };
        self.fits_tool(tool) && command && self.fits_path(part)
    }

    /// Whether a rule that denies has anything to do with a request: any of its parts is enough.
    fn hits(&self, request: &Request, parts: &[Part<'_>]) -> bool {
        self.fits_tool(&request.tool)
            && parts.iter().any(|part| {
                let command = match (&self.command, part.command) {
                    (None, _) => true,
                    (Some(_), None) => false,
                    (Some(pattern), Some(command)) => {
                        command::fits(pattern, command) || command::fits(pattern, part.whole)
                    }
                };
                command && self.fits_path(part)
            })
    }

    fn fits_path(&self, part: &Part<'_>) -> bool {
        match (&self.path, part.path) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(pattern), Some(path)) => pattern.globs.iter().any(|glob| glob.is_match(path)),
        }
    }
}

/// One path and one simple command of a request.
struct Part<'a> {
    path: Option<&'a Path>,
    command: Option<&'a str>,
    whole: &'a str,
    more: bool,
}

impl<'a> Part<'a> {
    fn all(request: &'a Request, path: Option<&'a Path>, line: Option<&'a Line>) -> Vec<Self> {
        let whole = request.command.as_deref().unwrap_or_default();
        match line {
            None => vec![Self { path, command: None, whole, more: false }],
            Some(line) if line.parts.is_empty() => vec![Self { path, command: Some(""), whole, more: true }],
            Some(line) => line
                .parts
                .iter()
                .map(|part| Self { path, command: Some(part), whole, more: line.more })
                .collect(),
        }
    }
}

/// A lasting answer. One that denies wins.
fn granted(request: &Request, grants: &[PermissionGrant]) -> Option<(Verdict, Origin)> {
    let fits = |grant: &&PermissionGrant| {
        let path = request.lasting_path();
        grant.tool == request.tool
            && grant.command.as_ref().is_none_or(|command| Some(command) == request.command.as_ref())
            && grant.path.as_ref().is_none_or(|granted| Some(granted) == path.as_ref())
            // An answer about no command says nothing about any.
            && (grant.command.is_some() || request.command.is_none())
    };
    let fitting: Vec<&PermissionGrant> = grants.iter().filter(fits).collect();
    let denied = fitting.iter().find(|grant| grant.decision == InboxDecision::Deny);
    let grant = denied.or_else(|| fitting.first())?;
    let verdict = if grant.decision == InboxDecision::Deny { Verdict::Deny } else { Verdict::Allow };
    Some((verdict, Origin::Grant(grant.granted_by.clone())))
}

/// Where nothing is said: reading is free, changing is free in a worktree that is the session's own.
fn default_of(tool: &str, claimed: bool) -> Verdict {
    let changes_files = matches!(tool, "edit_file" | "write_file" | "commit");
    if tools::reads_only(tool) || (changes_files && claimed) { Verdict::Allow } else { Verdict::Ask }
}

/// A pattern over paths from the worktree's root. A folder stands for all below it.
#[derive(Debug)]
struct PathPattern {
    globs: Vec<GlobMatcher>,
    /// It names secret files itself, and does not only include them.
    is_secret: bool,
}

impl PathPattern {
    fn new(pattern: &str) -> Option<Self> {
        let plain = pattern.trim_start_matches("./").trim_end_matches('/');
        let full = if plain.contains('/') {
            plain.trim_start_matches('/').to_owned()
        } else {
            format!("**/{plain}")
        };
        let glob =
            |text: &str| -> Option<Glob> { GlobBuilder::new(text).literal_separator(true).build().ok() };
        let globs = [glob(&full)?, glob(&format!("{full}/**"))?];
        Some(Self {
            globs: globs.map(|g| g.compile_matcher()).into(),
            is_secret: is_secret_path(Path::new(plain)),
        })
    }
}
