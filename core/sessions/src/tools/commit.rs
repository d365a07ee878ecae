//! `commit`.

use std::time::Duration;

use async_trait::async_trait;
use podium_process::Stdin;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::confined::{self, Program};
use super::{Output, Tool, ToolContext, ToolError, input};

/// Hooks may run a project's tests.
const LONGEST: Duration = Duration::from_secs(1_800);

/// Commits the work.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// Message: a subject line, an empty line, and the reasons.
    message: String,
    /// Files and folders to commit, relative to the worktree's root. Default: everything that changed.
    #[serde(default)]
    paths: Vec<String>,
    /// Replaces the last commit, if it was made in this session.
    #[serde(default)]
    amend: bool,
}

pub(super) struct Commit;

#[async_trait]
impl Tool for Commit {
    fn name(&self) -> &'static str {
        "commit"
    }

    fn description(&self) -> &'static str {
        "Commits changes of the worktree, untracked files included, to its branch. The project's \
              hooks run, and may refuse. Files that git ignores and secret files are left out."
    }

    fn input_schema(&self) -> Value {
        input::schema::<Input>()
    }

    fn reads_only(&self) -> bool {
        false
    }

    async fn run(&self, input: Value, ctx: &ToolContext) -> Result<Output, ToolError> {
        let input: Input = input::read(input)?;
        if input.message.trim().is_empty() {
            return Err(ToolError::Input("`message` is empty".to_owned()));
        }
        let workplace = confined::workplace(ctx)?;
        let everything = [".".to_owned()];
        let paths = if input.paths.is_empty() { everything.as_slice() } else { &input.paths };
        let add = ["add", "--all", "--"].into_iter().chain(paths.iter().map(String::as_str));
        if let Some(refused) = git(&workplace, ctx, add, Stdin::Null).await? {
            return Ok(refused);
        }
        let mut commit = vec!["commit", "--quiet", "--file=-"];
        if input.amend {
            commit.push("--amend");
        }
        if !input.paths.is_empty() {
            commit.extend(["--only", "--"].into_iter().chain(input.paths.iter().map(String::as_str)));
        }
        let message = Stdin::Bytes(input.message.into_bytes());
        if let Some(refused) = git(&workplace, ctx, commit, message).await? {
            return Ok(refused);
        }
        let Some(done) = confined::import(&workplace, input.amend).await? else {
            return Err(ToolError::Failed("git made no commit".to_owned()));
        };
        let text = format!("Committed {} to {}.", done.new.short(), done.branch);
        let data = json!({
            "commit": done.new.as_str(),
            "parent": done.old.as_ref().map(podium_git::Oid::as_str),
            "branch": done.branch,
            "commits": done.commits,
        });
        Ok(Output { text, data: Some(data), failed: false })
    }
}

/// Runs git inside; what it says where it fails.
async fn git<'a>(
    workplace: &std::sync::Arc<crate::workplace::Workplace>,
    ctx: &ToolContext,
    args: impl IntoIterator<Item = &'a str>,
    stdin: Stdin,
) -> Result<Option<Output>, ToolError> {
    let mut program = Program::new(std::iter::once("git").chain(args), LONGEST);
    program.options.env.push(("GIT_LITERAL_PATHSPECS".into(), "1".into()));
    program.stdin = stdin;
    let output = confined::run(workplace, ctx, program).await?;
    if output.success() {
        return Ok(None);
    }
    let said = format!("{}{}", output.stdout.text(), output.stderr.text());
    let said = if said.trim().is_empty() { output.exit.to_string() } else { said };
    let data = json!({ "exitCode": output.exit.code });
    Ok(Some(Output { text: format!("Nothing was committed.\n{said}"), data: Some(data), failed: true }))
}
