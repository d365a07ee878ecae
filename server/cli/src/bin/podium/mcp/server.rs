//! The protocol's requests, brought to the tools and resources.

use std::sync::Arc;

use podium_protocol::{ErrorKind, VERSION, WireError};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, ServerCapabilities, ServerConfig,
    SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;

use super::desk::Desk;
use super::resources;
use super::tool::{Asking, ToolSpec};
use super::tools;

const INSTRUCTIONS: &str = "\
Several agents work on this repository, each in a git worktree of its own. Before you change files, claim a worktree \
(`claim`), or make one (`worktree_create`, which claims it), and work in its `path` only. Commit there, then `release`. \
`conflicts` tells whose work would not merge with yours. What needs a person's word: `ask_person`.";

pub(super) struct Server {
    desk: Arc<Desk>,
    tools: Vec<ToolSpec>,
}

impl Server {
    pub(super) fn new(desk: Arc<Desk>) -> Self {
        Self { desk, tools: tools::all() }
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .enable_resources_subscribe()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("podium", VERSION).with_title("Podium"))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.iter().map(|spec| spec.tool.clone()).collect()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools.iter().find(|spec| spec.tool.name == name).map(|spec| spec.tool.clone())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(spec) = self.tools.iter().find(|spec| spec.tool.name == request.name) else {
            return Err(ErrorData::invalid_params(format!("there is no tool `{}`", request.name), None));
        };
        let input = Value::Object(request.arguments.unwrap_or_default());
        let cancelled = context.ct.clone();
        let work = spec.run(Arc::clone(&self.desk), input, Asking(context));
        let done = tokio::select! {
            done = work => done,
            () = cancelled.cancelled() => Err(WireError::busy("cancelled")),
        };
        Ok(match done {
            Ok(answer) => CallToolResult::structured(answer),
            // For the model, which can do something about it; no protocol error.
            Err(error) => CallToolResult::error(vec![ContentBlock::text(told(&error))]),
        }
        .into())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(resources::list()))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(resources::templates()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        match resources::read(&self.desk, &request.uri).await {
            Ok(contents) => Ok(ReadResourceResult::new(vec![contents]).into()),
            Err(error) if error.kind == ErrorKind::NotFound => {
                Err(ErrorData::resource_not_found(told(&error), None))
            }
            Err(error) => Err(ErrorData::internal_error(told(&error), None)),
        }
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        if !resources::is_known(&request.uri) {
            return Err(ErrorData::resource_not_found(format!("there is no resource {}", request.uri), None));
        }
        self.desk.subscribe(request.uri);
        Ok(())
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.desk.unsubscribe(&request.uri);
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        let known: Vec<String> = requested
            .resource_subscriptions
            .iter()
            .flatten()
            .filter(|uri| resources::is_known(uri))
            .cloned()
            .collect();
        let mut accepted = SubscriptionFilter::new();
        accepted.resource_subscriptions = (!known.is_empty()).then_some(known);
        Some(accepted)
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.desk.changes.subscribe();
        loop {
            let change = tokio::select! {
                change = changes.recv() => change,
                () = context.cancelled() => return Ok(()),
            };
            match change {
                Ok(uri) => {
                    // One that this subscription is not about is refused, which is as it should be.
                    let _ = context.sink().notify_resource_updated(uri).await;
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(()),
            }
        }
    }
}

/// The sentence, who stands in the way, and what to do.
fn told(error: &WireError) -> String {
    let mut text = error.message.clone();
    for hint in &error.hints {
        text += &format!("\nhint: {hint}");
    }
    text
}
