//! `podium melody show`.

use std::path::Path;

use podium_cli::context::Context;
use podium_cli::output::Ending;
use podium_cli::style::{Painter, one_line, shortened};
use podium_cli::table::Rows;
use podium_melody::{AFTER, Document, Melody, kind_name};
use serde_json::json;

use super::files::Source;
use super::validate::fault;

pub(crate) fn run(context: &Context, file: &Path) -> Ending {
    let source = Source::read(file)?;
    let document = source.document();
    let Some(melody) = &document.melody else { return Err(fault(&source, &document).into()) };
    let answer = json!({
        "file": source.name,
        "melody": melody,
        "life": document.life(),
        "valid": document.is_valid(),
        "diagnostics": document.diagnostics,
        "complexity": document.complexity,
    });
    context.output.reply(&answer, |paint| render(melody, &document, paint))?;
    Ok(0)
}

fn render(melody: &Melody, document: &Document, paint: Painter) -> String {
    let mut text =
        format!("{} {}\n", paint.bold(&one_line(&melody.name)), paint.dim(&one_line(&melody.version)));
    if !melody.description.is_empty() {
        text += &format!("{}\n", one_line(&melody.description));
    }
    let state = if document.is_valid() { paint.green("ready") } else { paint.red("draft, it has faults") };
    text += &format!("{state}, complexity {} of 10\n", document.complexity.unwrap_or_default());
    for (name, input) in &melody.inputs {
        let default = input.default.as_ref().map(|default| format!(" = {default}")).unwrap_or_default();
        text += &format!("takes {name}: {}{}\n", input.port_type, shortened(&one_line(&default), 60));
    }
    for (name, output) in &melody.outputs {
        text += &format!("gives {name}: {}\n", output.port_type);
    }
    text + "\n" + &nodes(melody).render(paint)
}

fn nodes(melody: &Melody) -> Rows {
    let mut rows = Rows::new(&["NODE", "KIND", "USES", "GETS", "WAITS FOR"]);
    for node in &melody.nodes {
        let into = |control: bool| {
            let edges = melody.edges.iter().filter(|edge| edge.to.node == node.id);
            let edges = edges.filter(|edge| (edge.to.port == AFTER) == control);
            let names = edges.map(|edge| {
                if control { edge.from.node.clone() } else { format!("{}={}", edge.to.port, edge.from) }
            });
            shortened(&one_line(&names.collect::<Vec<_>>().join(" ")), 60)
        };
        let uses = one_line(&node.uses);
        rows.push([one_line(&node.id), kind_name(node.kind).to_owned(), uses, into(false), into(true)]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use podium_melody::{Catalogue, Format, read};

    #[test]
    fn a_melody_is_shown_with_what_it_takes_does_and_gives() {
        let text = "id = \"m\"\nname = \"Hello\"\nversion = \"1.0.0\"\ndescription = \"Says it.\"\n\
                    [inputs.topic]\ntype = \"text\"\ndefault = \"the sea\"\n[outputs.line]\ntype = \"text\"\nfrom = \"ask.text\"\n\
                    [[nodes]]\nid = \"ask\"\nkind = \"instrument\"\nuses = \"local\"\nparams = { prompt = \"{{topic}}\" }\n\
                    [[nodes]]\nid = \"save\"\nkind = \"operator\"\nuses = \"files.write\"\nparams = { path = \"x\" }\n\
                    [[nodes]]\nid = \"end\"\nkind = \"operator\"\nuses = \"noop\"\n\
                    [[edges]]\nfrom = \"ask.text\"\nto = \"save.content\"\n[[edges]]\nfrom = \"save.done\"\nto = \"end.after\"\n";
        let document = read(text, Format::Toml, &Catalogue::builtin());
        let melody = document.melody.as_ref().unwrap();
        insta::assert_snapshot!(render(melody, &document, Painter::new(false)));
    }
}
