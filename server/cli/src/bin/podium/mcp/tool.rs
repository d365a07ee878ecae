//! A tool: its description with schemas, and what it does.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use podium_protocol::WireError;
use rmcp::RoleServer;
use rmcp::model::{JsonObject, ProgressNotificationParam, Tool, ToolAnnotations};
use rmcp::service::RequestContext;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::desk::Desk;

/// Largest answer, in bytes of JSON: more helps no model.
const LARGEST: usize = 256 * 1024;
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

type Running = Pin<Box<dyn Future<Output = Result<Value, WireError>> + Send>>;
type Run = Box<dyn Fn(Arc<Desk>, Value, Asking) -> Running + Send + Sync>;

pub(super) struct ToolSpec {
    pub(super) tool: Tool,
    run: Run,
}

/// How a tool changes the world.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Reads,
    Adds,
}

/// The request that a tool works on.
#[derive(Clone)]
pub(super) struct Asking(pub(super) RequestContext<RoleServer>);

impl Asking {
    /// Tells how long something has been waited for, to clients that want to know.
    pub(super) async fn while_waiting<T>(
        &self,
        what: &str,
        longest: Option<u32>,
        work: impl Future<Output = T>,
    ) -> T {
        let Some(token) = self.0.meta.get_progress_token() else { return work.await };
        let began = Instant::now();
        let mut ticks = tokio::time::interval(PROGRESS_EVERY);
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = ticks.tick() => {
                    let mut note = ProgressNotificationParam::new(token.clone(), began.elapsed().as_secs_f64());
                    note.message = Some(what.to_owned());
                    note.total = longest.map(f64::from);
                    // Who does not listen any more is told nothing.
                    let _ = self.0.peer.notify_progress(note).await;
                }
            }
        }
    }
}

impl ToolSpec {
    pub(super) fn new<P, A, F>(
        name: &'static str,
        title: &'static str,
        description: &'static str,
        kind: Kind,
        run: fn(Arc<Desk>, P, Asking) -> F,
    ) -> Self
    where
        P: DeserializeOwned + JsonSchema + Send + 'static,
        A: Serialize + JsonSchema + Send + 'static,
        F: Future<Output = Result<A, WireError>> + Send + 'static,
    {
        let mut tool = Tool::default();
        tool.name = name.into();
        tool.title = Some(title.to_owned());
        tool.description = Some(description.into());
        tool.input_schema = Arc::new(schema::<P>());
        tool.output_schema = Some(Arc::new(schema::<A>()));
        let read_only = kind == Kind::Reads;
        let hints = ToolAnnotations::with_title(title).read_only(read_only).destructive(false);
        tool.annotations = Some(hints.open_world(false));
        let run: Run = Box::new(move |desk, input, asking| {
            Box::pin(async move {
                let input = serde_json::from_value::<P>(input).map_err(|error| {
                    WireError::usage(format!("the arguments of `{name}` are wrong: {error}"))
                })?;
                let answer = run(desk, input, asking).await?;
                let answer = serde_json::to_value(answer).map_err(|e| WireError::internal(e.to_string()))?;
                bounded(answer)
            })
        });
        Self { tool, run }
    }

    pub(super) fn run(&self, desk: Arc<Desk>, input: Value, asking: Asking) -> Running {
        (self.run)(desk, input, asking)
    }
}

fn bounded(answer: Value) -> Result<Value, WireError> {
    if answer.to_string().len() <= LARGEST {
        return Ok(answer);
    }
    let text = format!("the answer has more than {LARGEST} bytes");
    Err(WireError::user(text).hint("ask for less: a smaller limit, or one thing by its name"))
}

fn schema<T: JsonSchema>() -> JsonObject {
    let generator = SchemaSettings::draft2020_12().into_generator();
    match generator.into_root_schema_for::<T>().to_value() {
        Value::Object(object) => object,
        _ => JsonObject::default(),
    }
}
