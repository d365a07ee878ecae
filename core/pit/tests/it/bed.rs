//! What runs are tested with: a runner whose nodes do what their name says, and a journal that keeps
//! everything.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use podium_melody::{Catalogue, Format, Limits, NodeKind};
use podium_pit::dag::{
    Batch, Conduct, Durability, Executor, FailureKind, History, Job, Journal, JournalError, NodeCall,
    NodeError, NodePath, NodeRunner, NodeSpec, NodeState, Op, Outcome, Plan, PlanBuilder, Policy, Record,
    Report, RunHandle, RunId, Settings, Work,
};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

pub(crate) type Outputs = Map<String, Value>;

/// Does what `uses` says: `sum` adds its inputs to the node's `own`, `fail` fails as often as `params.times`
/// says, `wait` waits until the test opens its gate, `panic` and `hang` do that, `text` gives `params.give`
/// on `out`, `echo` gives its inputs.
#[derive(Default)]
pub(crate) struct Script {
    calls: Mutex<Vec<NodeCall>>,
    /// Nodes in the order in which they began and ended.
    pub(crate) log: Mutex<Vec<(&'static str, String)>>,
    open: watch::Sender<bool>,
    /// Calls so far.
    made: watch::Sender<usize>,
}

impl Script {
    pub(crate) fn calls(&self) -> Vec<NodeCall> {
        self.calls.lock().unwrap().clone()
    }

    /// Which nodes were called, in order.
    pub(crate) fn called(&self) -> Vec<String> {
        self.calls().iter().map(|call| call.node.to_string()).collect()
    }

    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }

    /// Waits until a node came into a state.
    pub(crate) async fn until(handle: &RunHandle, node: &str, state: NodeState) {
        let reached = async {
            while handle.nodes().iter().all(|view| view.node.as_str() != node || view.state != state) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), reached).await.expect("the node comes into its state");
    }

    /// Waits until so many calls were made.
    pub(crate) async fn until_called(&self, count: usize) {
        let mut made = self.made.subscribe();
        let enough = made.wait_for(|made| *made >= count);
        let in_time = tokio::time::timeout(Duration::from_secs(20), enough).await;
        in_time.expect("the nodes are called").unwrap();
    }

    fn began(&self, call: &NodeCall) {
        self.log.lock().unwrap().push(("began", call.node.to_string()));
        self.calls.lock().unwrap().push(call.clone());
        self.made.send_modify(|made| *made += 1);
    }

    fn ended(&self, call: &NodeCall) {
        self.log.lock().unwrap().push(("ended", call.node.to_string()));
    }

    async fn act(&self, call: &NodeCall) -> Result<Outputs, NodeError> {
        match call.work.uses.as_str() {
            "wait" => {
                self.open.subscribe().wait_for(|open| *open).await.unwrap();
                Ok(Outputs::new())
            }
            "hang" => std::future::pending().await,
            "block" => loop {
                // Never yields: not even dropping it helps.
                std::thread::park_timeout(Duration::from_secs(1));
                if *self.open.borrow() {
                    return Ok(Outputs::new());
                }
            },
            _ => react(call),
        }
    }
}

/// What nodes do that need not wait.
fn react(call: &NodeCall) -> Result<Outputs, NodeError> {
    let params = &call.work.params;
    match call.work.uses.as_str() {
        "sum" => {
            let own = params.get("own").and_then(Value::as_i64).unwrap_or_default();
            let sum: i64 = call.inputs.values().filter_map(Value::as_i64).sum();
            Ok(out(json!((own + sum) % 1000)))
        }
        "fail" => {
            let times = params.get("times").and_then(Value::as_u64).unwrap_or(u64::MAX);
            let fails = u64::from(call.attempt) <= times;
            let error = NodeError::new(FailureKind::Failed, format!("attempt {}", call.attempt));
            if fails { Err(error) } else { Ok(out(json!("at last"))) }
        }
        "fail_at" => {
            let at = params.get("item").unwrap_or(&Value::Null);
            let fails = call.inputs.get("item") == Some(at) && call.attempt == 1;
            if fails {
                Err(NodeError::new(FailureKind::Failed, "not this one"))
            } else {
                Ok(out(json!("fine")))
            }
        }
        "refuse" => Err(NodeError::new(FailureKind::Denied, "never")),
        "panic" => panic!("as asked"),
        "text" => Ok(out(params.get("give").cloned().unwrap_or_default())),
        "double" => Ok(out(json!(call.inputs.values().filter_map(Value::as_i64).max().unwrap_or(1) * 2))),
        "echo" => Ok(out(Value::Object(call.inputs.clone()))),
        // The built-in operators that melodies of tests use.
        "template" => Ok(Outputs::from_iter([("text".to_owned(), json!(rendered(call)))])),
        other => panic!("no node does `{other}`"),
    }
}

/// The `{{name}}`s of `params.text`, filled.
fn rendered(call: &NodeCall) -> String {
    let text = call.work.params.get("text").and_then(Value::as_str).unwrap_or_default();
    let names = call.run_inputs.iter().chain(&call.inputs);
    names.fold(text.to_owned(), |text, (name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text.replace(&format!("{{{{{name}}}}}"), &value)
    })
}

pub(crate) fn out(value: Value) -> Outputs {
    Outputs::from_iter([("out".to_owned(), value)])
}

pub(crate) struct Runner(pub(crate) Arc<Script>);

impl NodeRunner for Runner {
    fn run(&self, call: NodeCall) -> BoxFuture<'static, Result<Outputs, NodeError>> {
        let script = Arc::clone(&self.0);
        async move {
            script.began(&call);
            let outputs = script.act(&call).await;
            script.ended(&call);
            outputs
        }
        .boxed()
    }

    fn compute(&self, call: NodeCall) -> Result<Outputs, NodeError> {
        self.0.began(&call);
        let outputs = react(&call);
        self.0.ended(&call);
        outputs
    }
}

/// Keeps records in memory, in the order of their batches; gives an error from some record on, if asked.
#[derive(Default)]
pub(crate) struct Kept {
    records: Mutex<Vec<Record>>,
    batches: Mutex<Vec<(usize, Durability)>>,
    fails_after: Option<usize>,
}

impl Kept {
    pub(crate) fn failing_after(records: usize) -> Self {
        Self { fails_after: Some(records), ..Self::default() }
    }

    /// What an earlier process left.
    pub(crate) fn with(self, records: &[Record]) -> Self {
        Self { records: Mutex::new(records.to_vec()), ..self }
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.records.lock().unwrap().clone()
    }

    pub(crate) fn durabilities(&self) -> Vec<(usize, Durability)> {
        self.batches.lock().unwrap().clone()
    }
}

pub(crate) struct Keeper(pub(crate) Arc<Kept>);

impl Journal for Keeper {
    fn append(&self, batch: Batch) -> BoxFuture<'static, Result<(), JournalError>> {
        let kept = Arc::clone(&self.0);
        async move {
            // Other tasks get on meanwhile, as with a disk.
            tokio::task::yield_now().await;
            let mut records = kept.records.lock().unwrap();
            if kept.fails_after.is_some_and(|most| records.len() + batch.records.len() > most) {
                return Err(JournalError("no space left on device".into()));
            }
            kept.batches.lock().unwrap().push((batch.records.len(), batch.durability));
            records.extend(batch.records);
            Ok(())
        }
        .boxed()
    }
}

/// A plan in the making.
#[derive(Default)]
pub(crate) struct Draft {
    builder: PlanBuilder,
    count: u32,
}

impl Draft {
    pub(crate) fn node(&mut self, id: &str, uses: &str, conduct: Conduct, params: Value) -> u32 {
        self.with_policy(id, uses, conduct, params, Policy::default())
    }

    pub(crate) fn with_policy(
        &mut self,
        id: &str,
        uses: &str,
        conduct: Conduct,
        params: Value,
        policy: Policy,
    ) -> u32 {
        let op = if uses == "noop" { Op::Noop } else { Op::Run };
        self.add(id, op, Work { params: object(params), ..work(uses, conduct) }, policy)
    }

    pub(crate) fn add(&mut self, id: &str, op: Op, work: Work, policy: Policy) -> u32 {
        self.count += 1;
        self.builder.node(NodeSpec { id: id.to_owned(), op, work: Arc::new(work), policy }).unwrap()
    }

    pub(crate) fn after(&mut self, first: u32, then: u32) {
        self.builder.after(first, then).unwrap();
    }

    pub(crate) fn edge(&mut self, from: u32, to: (u32, &str), when: Option<&str>) {
        let when = when.map(|when| when.parse().unwrap());
        self.builder.edge((from, "out"), to, when).unwrap();
    }

    pub(crate) fn plan(self) -> Arc<Plan> {
        Arc::new(self.builder.build().unwrap())
    }
}

pub(crate) fn work(uses: &str, conduct: Conduct) -> Work {
    Work {
        kind: NodeKind::Operator,
        uses: uses.to_owned(),
        params: Map::new(),
        limits: Limits::default(),
        timeout: None,
        conduct,
        inlets: Arc::default(),
        outlets: Arc::default(),
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// One run after the other over one journal, as the daemon makes them.
pub(crate) struct Bed {
    pub(crate) script: Arc<Script>,
    pub(crate) kept: Arc<Kept>,
    pub(crate) settings: Settings,
}

impl Default for Bed {
    fn default() -> Self {
        let settings = Settings { threads: 2, grace: Duration::from_millis(50), ..Settings::default() };
        Self { script: Arc::default(), kept: Arc::default(), settings }
    }
}

impl Bed {
    pub(crate) fn executor(&self) -> Executor {
        let runner = Arc::new(Runner(Arc::clone(&self.script)));
        Executor::new(runner, self.settings.clone()).with_journal(Arc::new(Keeper(Arc::clone(&self.kept))))
    }

    pub(crate) fn start(&self, plan: &Arc<Plan>) -> RunHandle {
        self.start_with(plan, json!({}))
    }

    pub(crate) fn start_with(&self, plan: &Arc<Plan>, inputs: Value) -> RunHandle {
        let history = History::of(self.kept.records());
        let job = Job { run: RunId::new("run"), plan: Arc::clone(plan), inputs: object(inputs), history };
        self.executor().start(job).unwrap()
    }

    pub(crate) async fn run(&self, plan: &Arc<Plan>) -> Arc<Report> {
        ended(&self.start(plan)).await
    }

    /// Appends what a person asked for, and runs again.
    pub(crate) async fn run_after(&self, record: Record, plan: &Arc<Plan>) -> Arc<Report> {
        self.kept.records.lock().unwrap().push(record);
        self.run(plan).await
    }

    pub(crate) fn history(&self) -> History {
        History::of(self.kept.records())
    }
}

pub(crate) async fn ended(handle: &RunHandle) -> Arc<Report> {
    let report = tokio::time::timeout(Duration::from_secs(30), handle.wait()).await;
    report.unwrap_or_else(|_| panic!("the run never ends: {:?}", handle.nodes())).unwrap()
}

/// The state of each node by its last record.
pub(crate) fn outcomes(records: &[Record]) -> HashMap<NodePath, Outcome> {
    let ended = records.iter().filter_map(|record| match record {
        Record::Ended(ended) => Some((ended.node.clone(), ended.outcome.clone())),
        _ => None,
    });
    ended.collect()
}

pub(crate) fn melody(text: &str) -> Arc<Plan> {
    let catalogue = Catalogue::builtin();
    let document = podium_melody::read(text, Format::Toml, &catalogue);
    let errors: Vec<_> = document.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    Arc::new(Plan::of(&document.melody.unwrap(), &catalogue).unwrap())
}
