//! The params of each node, and the names in their templates.

use serde_json::{Map, Value};

use super::Subject;
use crate::catalogue::{Form, Param, Signature, nearest};
use crate::diagnostic::Code;
use crate::read::{NodePlaces, Reader};
use crate::template::{self, Quoting, TemplateError};
use crate::{Condition, Node, NodeKind, Span};

pub(super) fn check(reader: &mut Reader<'_>, subject: &Subject<'_>) {
    for (index, node) in subject.nodes() {
        let place = &subject.places.nodes[index];
        let scope = Scope { subject, index, node, place, given: &[] };
        match subject.catalogue.signature(node.kind, &node.uses) {
            Some(signature) => scope.check(reader, signature, &node.params, None),
            None if matches!(node.kind, NodeKind::Input | NodeKind::Output) => scope.none(reader),
            None => {}
        }
    }
}

/// A node and the names that its templates know.
struct Scope<'a> {
    subject: &'a Subject<'a>,
    index: usize,
    node: &'a Node,
    place: &'a NodePlaces,
    given: &'static [&'static str],
}

impl Scope<'_> {
    fn none(&self, reader: &mut Reader<'_>) {
        for field in &self.place.params {
            let kind = crate::kind_name(self.node.kind);
            let finding = reader.error(
                Code::InvalidParam,
                field.key.clone(),
                format!("a node of kind {kind} has no params"),
            );
            finding.node(&self.node.id);
        }
    }

    /// `at` is the place of inner params of a control; the node's own params have a place each.
    fn check(
        &self,
        reader: &mut Reader<'_>,
        signature: &Signature,
        params: &Map<String, Value>,
        at: Option<&Span>,
    ) {
        for (name, value) in params {
            let place = at.cloned().unwrap_or_else(|| self.value_place(name));
            match signature.param(name) {
                Some(param) => self.check_one(reader, signature, param, value, &place),
                None => self.unknown(reader, signature, name, at),
            }
        }
        for param in
            signature.params.iter().filter(|param| param.required && !params.contains_key(param.name))
        {
            if at.is_none() && self.subject.is_fed(self.index, param.name) {
                continue;
            }
            if signature.input(param.name).is_some_and(|port| port.required) && at.is_none() {
                // A missing input says so itself.
                continue;
            }
            let message = format!("{} needs the param `{}`", signature.uses, param.name);
            let finding = reader.error(
                Code::InvalidParam,
                at.cloned().unwrap_or_else(|| self.place.id.clone()),
                message,
            );
            finding.hint(param.summary).node(&self.node.id);
        }
    }

    fn unknown(&self, reader: &mut Reader<'_>, signature: &Signature, name: &str, at: Option<&Span>) {
        let place = self.place.param(name).map(|field| field.key.clone());
        let place = at.cloned().or(place).unwrap_or_else(|| self.place.id.clone());
        let names = || signature.params.iter().map(|param| param.name);
        let finding =
            reader.error(Code::InvalidParam, place, format!("{} has no param `{name}`", signature.uses));
        finding.node(&self.node.id);
        let all: Vec<_> = names().collect();
        if !all.is_empty() {
            finding.hint(format!("it has {}", all.join(", ")));
        }
        finding.meant(nearest(name, names()));
    }

    fn check_one(
        &self,
        reader: &mut Reader<'_>,
        signature: &Signature,
        param: &Param,
        value: &Value,
        place: &Span,
    ) {
        if !fits(&param.form, value) {
            let message = format!("`{}` is {}", param.name, param.form.describe());
            let finding = reader.error(Code::InvalidParam, place.clone(), message);
            finding.hint(param.summary).node(&self.node.id);
            return;
        }
        let port = signature.input(param.name).filter(|_| self.given.is_empty());
        if port.is_some() && self.subject.is_fed(self.index, param.name) {
            let message = format!("`{}` is given twice: here and by an edge", param.name);
            reader.error(Code::InvalidParam, place.clone(), message).node(&self.node.id);
        }
        match (&param.form, value) {
            (Form::Condition, Value::String(text)) => {
                if let Err(error) = text.parse::<Condition>() {
                    reader.error(Code::InvalidParam, place.clone(), error.to_string()).node(&self.node.id);
                }
            }
            (Form::Template(quoting), Value::String(text)) => self.template(reader, text, *quoting, place),
            (Form::Templates | Form::Table | Form::Any, value) => self.templates(reader, value, place, 0),
            (Form::Uses, Value::String(uses)) => self.check_inner(reader, signature, uses, place),
            _ => {}
        }
    }

    /// What a control runs, with the params it gives to it.
    fn check_inner(&self, reader: &mut Reader<'_>, outer: &Signature, uses: &str, place: &Span) {
        let runs = |kind| self.subject.catalogue.signature(kind, uses);
        let Some(inner) = runs(NodeKind::Instrument).or_else(|| runs(NodeKind::Operator)) else {
            let names = || {
                let names = |kind| self.subject.catalogue.names(kind);
                names(NodeKind::Instrument)
                    .chain(names(NodeKind::Operator))
                    .filter(|name| !name.ends_with('*'))
            };
            let control = runs(NodeKind::Control).is_some();
            let what = if control {
                "a control cannot run another"
            } else {
                "no instrument or operator has this name"
            };
            let finding = reader.error(Code::UnknownOperator, place.clone(), format!("{what}: `{uses}`"));
            finding.meant(nearest(uses, names())).node(&self.node.id);
            return;
        };
        let place = self.place.param("params").map_or_else(|| place.clone(), |field| field.value.clone());
        let empty = Map::new();
        let params = self.node.params.get("params").and_then(Value::as_object).unwrap_or(&empty);
        let scope = Scope { given: outer.given_names(), ..*self };
        scope.check(reader, inner, params, Some(&place));
        // The element is what a lone required input gets, if nothing else is said.
        let missing: Vec<_> =
            inner.inputs.iter().filter(|port| port.required && !params.contains_key(port.name)).collect();
        if missing.len() > 1 {
            let names: Vec<_> = missing.iter().map(|port| format!("`{}`", port.name)).collect();
            let message = format!("{uses} needs {} in `params`", names.join(" and "));
            reader.error(Code::InvalidParam, place, message).node(&self.node.id);
        }
    }

    fn templates(&self, reader: &mut Reader<'_>, value: &Value, place: &Span, depth: usize) {
        if depth > 64 {
            return;
        }
        match value {
            Value::String(text) => self.template(reader, text, Quoting::Plain, place),
            Value::Array(items) => {
                items.iter().for_each(|item| self.templates(reader, item, place, depth + 1))
            }
            Value::Object(fields) => {
                fields.values().for_each(|field| self.templates(reader, field, place, depth + 1));
            }
            _ => {}
        }
    }

    fn template(&self, reader: &mut Reader<'_>, text: &str, quoting: Quoting, place: &Span) {
        let slots = match template::slots(text) {
            Ok(slots) => slots,
            Err(error) => return self.no_template(reader, text, &error, place),
        };
        if quoting == Quoting::Shell
            && let Err(error) = template::check_command(text)
        {
            self.no_template(reader, text, &error, place);
        }
        for slot in slots {
            let place = within(reader.source, place, text, &slot.span);
            self.name(reader, slot.name, place);
        }
    }

    fn no_template(&self, reader: &mut Reader<'_>, text: &str, error: &TemplateError, place: &Span) {
        let (span, hint) = match error {
            TemplateError::Unprotected { span, .. } => {
                (span, "write it outside of quotes: its value goes in as one word, whatever it holds")
            }
            TemplateError::NoName { span, .. } => {
                (span, "letters, digits, `_` and `-`; `{{{{` stands for two braces")
            }
            TemplateError::Unclosed { span } | TemplateError::Unknown { span, .. } => {
                (span, "`{{name}}` stands for a value; `{{{{` stands for two braces")
            }
            TemplateError::Unquotable { .. } => (place, ""),
        };
        let span = if matches!(error, TemplateError::Unquotable { .. }) {
            place.clone()
        } else {
            within(reader.source, place, text, span)
        };
        reader.error(Code::InvalidParam, span, error.to_string()).hint(hint).node(&self.node.id);
    }

    /// A name is an input of the melody, or an input port that gets a value.
    fn name(&self, reader: &mut Reader<'_>, name: &str, place: Span) {
        let melody = self.subject.melody;
        if self.given.contains(&name) || self.subject.is_fed(self.index, name) {
            return;
        }
        if let Some(port) = self.node.inputs.get(name) {
            if port.default.is_none() && port.port_type.may_be_absent() {
                let message = format!("nothing leads into `{}.{name}`", self.node.id);
                let finding = reader.error(Code::DisconnectedInput, place, message);
                finding.hint("add an edge to it, or give it a default").node(&self.node.id);
            }
            return;
        }
        if melody.inputs.contains_key(name) {
            return;
        }
        let ports = self.subject.catalogue.ports(melody, self.node);
        let own = ports.signature().and_then(|signature| signature.input(name));
        if own.is_some() {
            if !self.node.params.contains_key(name) {
                let message = format!("nothing leads into `{}.{name}`", self.node.id);
                let finding = reader.error(Code::DisconnectedInput, place, message);
                finding.hint("add an edge to it").node(&self.node.id);
            }
            return;
        }
        let known = melody.inputs.keys().chain(self.node.inputs.keys()).map(String::as_str);
        let fed = self.subject.structure.incoming(self.index).iter();
        let fed = fed.map(|edge| melody.edges[*edge].to.port.as_str()).filter(|port| *port != crate::AFTER);
        let near = nearest(name, known.chain(fed).chain(self.given.iter().copied()));
        let message = format!("`{{{{{name}}}}}` is neither an input of the melody nor of `{}`", self.node.id);
        let hint = format!("declare [inputs.{name}], or lead an edge to `{}.{name}`", self.node.id);
        reader.error(Code::UnknownName, place, message).hint(hint).meant(near).node(&self.node.id);
    }

    fn value_place(&self, name: &str) -> Span {
        self.place.param(name).map_or_else(|| self.place.id.clone(), |field| field.value.clone())
    }
}

/// Where a part of a text value stands; all of it, where it is written with escapes.
fn within(source: &str, place: &Span, text: &str, part: &Span) -> Span {
    let raw = source.get(place.clone()).unwrap_or_default();
    match raw.find(text) {
        Some(at) if !text.is_empty() => place.start + at + part.start..place.start + at + part.end,
        _ => {
            let slot = text.get(part.clone()).unwrap_or_default();
            let at = raw.find(slot).filter(|_| !slot.is_empty());
            at.map_or_else(|| place.clone(), |at| place.start + at..place.start + at + slot.len())
        }
    }
}

fn fits(form: &Form, value: &Value) -> bool {
    match form {
        Form::Template(_) | Form::Text | Form::Condition | Form::Uses => value.is_string(),
        Form::Integer(low, high) => value.as_i64().is_some_and(|number| (*low..=*high).contains(&number)),
        Form::Number(low, high) => value.as_f64().is_some_and(|number| (*low..=*high).contains(&number)),
        Form::Flag => value.is_boolean(),
        Form::Choice(choices) => value.as_str().is_some_and(|text| choices.contains(&text)),
        Form::Templates => value.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
        Form::Table | Form::InnerParams => value.is_object(),
        Form::Any => true,
    }
}
