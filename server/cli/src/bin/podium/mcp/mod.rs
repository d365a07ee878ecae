//! `podium mcp`: Podium for any agent that speaks the Model Context Protocol, over standard input and output.
//!
//! It is an agent's: on a capability socket (`PODIUM_SOCKET`) the daemon grants what the session's agent may do; on the
//! main socket it acts under the agent's id alone, has no tool that decides over others (no force, no answers of the
//! inbox, no configuration), and releases only what it claimed itself. Its claims are bound to this process: when the
//! agent and with it this server ends, they are free. Only this module knows the protocol's types.

mod desk;
mod follow;
mod resources;
mod server;
mod tool;
mod tools;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use podium_cli::context::{Context, repo_selector};
use podium_cli::output::{Ending, usage};
use podium_protocol::WireError;
use rmcp::ServiceExt as _;
use rmcp::transport::stdio;

use desk::Desk;
use server::Server;

pub(crate) const HELP: &str = "\
An agent's program starts it. To add it to

  Claude Code   claude mcp add podium -- podium mcp --agent-id claude-1
  Codex         codex mcp add podium -- podium mcp --agent-id codex-1
  VS Code       .vscode/mcp.json:
                { \"servers\": { \"podium\": { \"type\": \"stdio\", \"command\": \"podium\",
                  \"args\": [\"mcp\", \"--agent-id\", \"vscode-1\", \"--repo\", \"${workspaceFolder}\"] } } }
  Zed           settings.json:
                { \"context_servers\": { \"podium\": { \"command\": \"podium\",
                  \"args\": [\"mcp\", \"--agent-id\", \"zed-1\"] } } }

What it claims is free again when it ends. It cannot use force, nor answer questions in the inbox.";

#[derive(Debug, Args)]
pub(crate) struct McpArgs {
    /// Who the agent is [env: PODIUM_AGENT_ID]
    #[arg(long, value_name = "ID", alias = "yi-id")]
    pub(crate) agent_id: Option<String>,
    /// Any path inside the repository [default: the current folder]
    #[arg(long, value_name = "PATH")]
    pub(crate) repo: Option<PathBuf>,
}

pub(crate) async fn run(context: &Context, args: McpArgs) -> Ending {
    let by_session = std::env::var_os("PODIUM_SOCKET").is_some_and(|socket| !socket.is_empty());
    let agent = context.agent(args.agent_id);
    if agent.is_none() && !by_session {
        return Err(usage("an MCP client is an agent", "give --agent-id ID, or set PODIUM_AGENT_ID"));
    }
    let at = repo_selector(args.repo.as_deref())?;
    let client = context.client()?;
    let desk = Arc::new(Desk::new(client, agent, at, by_session));
    let server = Server::new(Arc::clone(&desk));
    let running = server
        .serve(stdio())
        .await
        .map_err(|error| WireError::unavailable(format!("the client did not begin: {error}")))?;
    let following = tokio::spawn(follow::follow(desk, running.peer().clone()));
    let ended = running.waiting().await;
    following.abort();
    match ended {
        Ok(_) => Ok(0),
        Err(error) => Err(WireError::internal(format!("the server ended: {error}")).into()),
    }
}
