//! JSON with places. Comments and trailing commas are not allowed: everything else reads the same file.

use jsonc_parser::ast::{ObjectPropName, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::{Data, Entry, SyntaxFault, Tree};
use crate::Span;

const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

pub(super) fn parse(text: &str) -> (Option<Tree<'_>>, Vec<SyntaxFault>) {
    match parse_to_ast(text, &CollectOptions::default(), &STRICT) {
        Ok(parsed) => match parsed.value {
            Some(value) => {
                let mut faults = Vec::new();
                let tree = tree(value, &mut faults);
                (Some(tree), faults)
            }
            None => (None, vec![SyntaxFault { message: "nothing is in here".into(), span: 0..text.len() }]),
        },
        Err(error) => {
            let span = error.range().start..error.range().end;
            (None, vec![SyntaxFault { message: error.kind().to_string().to_lowercase(), span }])
        }
    }
}

fn span(ranged: &impl Ranged) -> Span {
    let range = ranged.range();
    range.start..range.end
}

fn tree<'t>(value: Value<'t>, faults: &mut Vec<SyntaxFault>) -> Tree<'t> {
    let whole = span(&value);
    let mut head = whole.clone();
    let data = match value {
        Value::NullKeyword(_) => Data::Null,
        Value::BooleanLit(flag) => Data::Flag(flag.value),
        Value::StringLit(text) => Data::Text(text.value),
        Value::NumberLit(number) => match number.value.parse::<i64>() {
            Ok(number) => Data::Integer(number),
            Err(_) => Data::Number(number.value.parse().unwrap_or(f64::NAN)),
        },
        Value::Array(array) => {
            head = whole.start..whole.start + 1;
            Data::List(array.elements.into_iter().map(|element| tree(element, faults)).collect())
        }
        Value::Object(object) => {
            head = whole.start..whole.start + 1;
            Data::Table(entries(object.properties, faults))
        }
    };
    Tree { span: whole, head, data }
}

fn entries<'t>(
    properties: Vec<jsonc_parser::ast::ObjectProp<'t>>,
    faults: &mut Vec<SyntaxFault>,
) -> Vec<Entry<'t>> {
    let mut entries: Vec<Entry<'t>> = Vec::with_capacity(properties.len());
    let mut seen = std::collections::HashSet::with_capacity(properties.len());
    for property in properties {
        let key = span(&property.name);
        let name = match property.name {
            ObjectPropName::String(text) => text.value,
            ObjectPropName::Word(word) => word.value.into(),
        };
        if !seen.insert(name.clone()) {
            faults.push(SyntaxFault { message: format!("`{name}` is there twice"), span: key.clone() });
            continue;
        }
        entries.push(Entry { name, key, value: tree(property.value, faults) });
    }
    entries
}
