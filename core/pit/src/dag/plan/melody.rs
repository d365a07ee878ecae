//! From a melody to its plan.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use podium_melody::{
    Catalogue, Condition, Limits, Melody, Node as MelodyNode, NodeKind, OnFailure, Signature, catalogue::Join,
};
use serde_json::{Map, Value};

use super::{LoopSpec, MapSpec, NodeSpec, Op, Plan, PlanBuilder, PlanError, Policy, Then};
use crate::dag::runner::{Conduct, FailureKind, Inlet, NodeError, Outlet, Work};

const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// How many elements of a `map` run at once where the melody does not say.
const CONCURRENCY: usize = 8;

/// An input or output of the whole melody.
#[derive(Debug, Default)]
pub(crate) struct Border {
    pub(crate) inputs: BTreeMap<String, podium_melody::Input>,
    /// Name of each output, the node and the port that it comes from.
    pub(crate) outputs: Vec<(String, u32, String)>,
}

impl Plan {
    /// Compiles a melody, of which validation found no error.
    ///
    /// # Errors
    /// What validation would have found, as far as it keeps the graph from being run.
    pub fn of(melody: &Melody, catalogue: &Catalogue) -> Result<Self, PlanError> {
        Compiler::new(melody, catalogue).compile()
    }

    /// What the melody's inputs are when a run is started with these: defaults where nothing is given.
    ///
    /// # Errors
    /// An input is missing, unknown, or not of its type.
    pub fn inputs(&self, mut given: Map<String, Value>) -> Result<Map<String, Value>, NodeError> {
        let wrong = |message| Err(NodeError::new(FailureKind::BadInput, message));
        if let Some(unknown) = given.keys().find(|name| !self.border.inputs.contains_key(*name)) {
            return wrong(format!("the melody has no input `{unknown}`"));
        }
        for (name, input) in &self.border.inputs {
            if !given.contains_key(name) {
                let optional = input.port_type.may_be_absent();
                match input.default.clone().or(optional.then_some(Value::Null)) {
                    Some(value) => _ = given.insert(name.clone(), value),
                    None => return wrong(format!("input `{name}` is missing")),
                }
            }
            if given.get(name).is_some_and(|value| !input.port_type.takes(value, &self.schemas)) {
                return wrong(format!("input `{name}` is not of type {}", input.port_type));
            }
        }
        Ok(given)
    }
}

struct Compiler<'m> {
    melody: &'m Melody,
    catalogue: &'m Catalogue,
    indices: HashMap<&'m str, u32>,
    /// Nodes that differ in nothing but their id share what they do: the most of a large graph.
    plain: HashMap<(NodeKind, &'m str), Arc<Work>>,
    builder: PlanBuilder,
}

impl<'m> Compiler<'m> {
    fn new(melody: &'m Melody, catalogue: &'m Catalogue) -> Self {
        let indices = (0..).zip(&melody.nodes).map(|(index, node)| (node.id.as_str(), index)).collect();
        Self { melody, catalogue, indices, plain: HashMap::new(), builder: PlanBuilder::new() }
    }

    fn compile(mut self) -> Result<Plan, PlanError> {
        self.builder.schemas(self.melody.schemas.clone());
        for node in &self.melody.nodes {
            let spec = self.spec(node)?;
            self.builder.node(spec)?;
        }
        for edge in &self.melody.edges {
            let (source, target) = (self.index(&edge.from.node)?, self.index(&edge.to.node)?);
            self.builder.edge((source, &edge.from.port), (target, &edge.to.port), edge.when.clone())?;
        }
        let border = self.border()?;
        let mut plan = self.builder.build()?;
        plan.border = border;
        Ok(plan)
    }

    fn index(&self, id: &str) -> Result<u32, PlanError> {
        self.indices.get(id).copied().ok_or_else(|| PlanError::UnknownNode(id.to_owned()))
    }

    fn spec(&mut self, node: &'m MelodyNode) -> Result<NodeSpec, PlanError> {
        let then = match &node.on_error.then {
            OnFailure::Halt => Then::Halt,
            OnFailure::Skip => Then::Skip,
            OnFailure::Fallback(id) => Then::Fallback(self.index(id)?),
            OnFailure::Compensate(id) => Then::Compensate(self.index(id)?),
        };
        let backoff = node.on_error.backoff.map_or(FIRST_BACKOFF, |backoff| backoff.0);
        let policy = Policy { retries: node.on_error.retry, backoff, then };
        Ok(NodeSpec { id: node.id.clone(), op: self.op(node)?, work: self.work(node)?, policy })
    }

    fn op(&self, node: &MelodyNode) -> Result<Op, PlanError> {
        let invalid = |why: String| PlanError::InvalidNode { node: node.id.clone(), why };
        match node.kind {
            NodeKind::Input => return Ok(Op::Input(node.stands_for().to_owned())),
            NodeKind::Output => return Ok(Op::Output(node.stands_for().to_owned())),
            NodeKind::Instrument => return Ok(Op::Run),
            NodeKind::Operator | NodeKind::Control => {}
        }
        let signature = self.catalogue.signature(node.kind, &node.uses);
        let signature = signature.ok_or_else(|| invalid(format!("nothing is called `{}`", node.uses)))?;
        Ok(match signature.uses {
            "noop" | "parallel" => Op::Noop,
            "branch" => Op::Branch(
                condition(node, "when")
                    .map_err(invalid)?
                    .ok_or_else(|| invalid("`when` is missing".to_owned()))?,
            ),
            "merge" => Op::Merge,
            "join" => Op::Join,
            "map" => Op::Map(MapSpec {
                body: self.body(node).map_err(invalid)?,
                concurrency: count(node, "concurrency").unwrap_or(CONCURRENCY),
                skip_failed: node.params.get("skip_failed").and_then(Value::as_bool).unwrap_or(false),
            }),
            "loop" => Op::Loop(LoopSpec {
                body: self.body(node).map_err(invalid)?,
                rounds: count(node, "max").ok_or_else(|| invalid("`max` is missing".to_owned()))?,
                until: condition(node, "until").map_err(invalid)?,
            }),
            _ => Op::Run,
        })
    }

    /// What a `map` or `loop` runs.
    fn body(&self, node: &MelodyNode) -> Result<Arc<Work>, String> {
        let uses = node.params.get("uses").and_then(Value::as_str).ok_or("`uses` is missing")?;
        let signature = self.catalogue.find(uses).ok_or_else(|| format!("nothing is called `{uses}`"))?;
        if signature.runs_another() {
            return Err(format!("`{uses}` cannot run within another control"));
        }
        let params = node.params.get("params").and_then(Value::as_object).cloned().unwrap_or_default();
        Ok(Arc::new(Work {
            kind: signature.kinds.first().copied().unwrap_or(NodeKind::Operator),
            uses: uses.to_owned(),
            params,
            limits: node.limits.clone(),
            timeout: node.timeout.map(|timeout| timeout.0),
            conduct: conduct(signature),
            inlets: Arc::default(),
            outlets: outlets(signature),
        }))
    }

    fn work(&mut self, node: &'m MelodyNode) -> Result<Arc<Work>, PlanError> {
        let plain = node.params.is_empty()
            && node.inputs.is_empty()
            && node.timeout.is_none()
            && node.limits == Limits::default();
        if !plain {
            return Ok(Arc::new(self.work_of(node)));
        }
        let key = (node.kind, node.uses.as_str());
        if let Some(work) = self.plain.get(&key) {
            return Ok(Arc::clone(work));
        }
        let work = Arc::new(self.work_of(node));
        self.plain.insert(key, Arc::clone(&work));
        Ok(work)
    }

    fn work_of(&self, node: &MelodyNode) -> Work {
        let signature = self.catalogue.signature(node.kind, &node.uses);
        let controls = signature.is_some_and(Signature::runs_another);
        Work {
            kind: node.kind,
            uses: node.uses.clone(),
            params: node.params.clone(),
            limits: node.limits.clone(),
            // A control lasts as long as what it runs, each run of which has this long.
            timeout: node.timeout.filter(|_| !controls).map(|timeout| timeout.0),
            conduct: signature.map_or(Conduct::Inline, conduct),
            inlets: inlets(node, signature),
            outlets: signature.map_or_else(Arc::default, outlets),
        }
    }

    fn border(&self) -> Result<Border, PlanError> {
        let mut outputs = Vec::new();
        for (name, output) in &self.melody.outputs {
            if let Some(from) = &output.from {
                outputs.push((name.clone(), self.index(&from.node)?, from.port.clone()));
            }
        }
        for (index, node) in (0..).zip(&self.melody.nodes).filter(|(_, node)| node.kind == NodeKind::Output) {
            outputs.push((node.stands_for().to_owned(), index, "out".to_owned()));
        }
        Ok(Border { inputs: self.melody.inputs.clone(), outputs })
    }
}

fn conduct(signature: &Signature) -> Conduct {
    match (signature.writes, signature.pure) {
        (true, _) => Conduct::Effect,
        (false, true) => Conduct::Pure,
        (false, false) => Conduct::Reading,
    }
}

/// The ports that can do without an edge: those with a default or a param of their name, and optional ones.
fn inlets(node: &MelodyNode, signature: Option<&Signature>) -> Arc<[Inlet]> {
    let inlet = |name: &str, default: Option<Value>| Inlet { name: name.to_owned(), default };
    let declared =
        node.inputs.iter().filter(|(_, port)| port.default.is_some() || port.port_type.may_be_absent());
    let declared = declared.map(|(name, port)| inlet(name, port.default.clone()));
    let ports = signature.into_iter().flat_map(|signature| &signature.inputs);
    let spare = |name: &str, many: bool| {
        many && signature.is_some_and(|one| one.join == Join::All) || node.params.contains_key(name)
    };
    let built_in =
        ports.filter(|port| !port.required || port.port_type.may_be_absent() || spare(port.name, port.many));
    let built_in = built_in.filter(|port| !node.inputs.contains_key(port.name));
    declared.chain(built_in.map(|port| inlet(port.name, None))).collect()
}

fn outlets(signature: &Signature) -> Arc<[Outlet]> {
    let outlet = |port: &podium_melody::catalogue::OutputPort| Outlet {
        name: port.name.to_owned(),
        port_type: port.port_type.clone(),
    };
    signature.outputs.iter().map(outlet).collect()
}

fn condition(node: &MelodyNode, param: &str) -> Result<Option<Condition>, String> {
    let text = node.params.get(param).and_then(Value::as_str);
    text.map(|text| text.parse::<Condition>().map_err(|error| format!("`{param}`: {error}"))).transpose()
}

fn count(node: &MelodyNode, param: &str) -> Option<usize> {
    usize::try_from(node.params.get(param)?.as_u64()?).ok().filter(|count| *count > 0)
}
