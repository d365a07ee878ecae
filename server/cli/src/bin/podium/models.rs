//! `podium models`.

use podium_cli::context::Context;
use podium_cli::output::{Ending, Failure, Output};
use podium_cli::progress::{bytes, waiting};
use podium_cli::style::{Painter, one_line, printable, size};
use podium_cli::table::Rows;
use podium_client::Client;
use podium_protocol::{
    Method, ModelChanged, ModelFetch, ModelInfo, ModelListMethod, ModelListParams, ModelParams, ModelRemove,
    ModelState, ModelVerify, WireError,
};
use serde::Serialize;

use crate::args::ModelsCommand;

/// The answer to a change, with `models` as the list has it.
#[derive(Debug, Serialize)]
struct Changed<'a> {
    models: [&'a ModelInfo; 1],
    changed: bool,
}

pub(crate) async fn run(context: &Context, command: ModelsCommand) -> Ending {
    let client = context.client()?;
    match command {
        ModelsCommand::List => list(context, &client).await,
        ModelsCommand::Fetch(args) => {
            introduce(&context.output, &client, args.name.as_deref()).await?;
            let answer = change::<ModelFetch>(context, &client, "fetching", args.name).await?;
            print(
                context,
                &answer,
                if answer.changed { "is fetched and verified" } else { "is here already" },
            )
        }
        ModelsCommand::Verify(args) => {
            let answer = change::<ModelVerify>(context, &client, "verifying", args.name).await?;
            check_verified(&answer.model)?;
            print(context, &answer, "is what the catalogue pins")
        }
        ModelsCommand::Remove(args) => {
            let answer = change::<ModelRemove>(context, &client, "removing", args.name).await?;
            print(context, &answer, if answer.changed { "is removed" } else { "was not here" })
        }
    }
}

async fn list(context: &Context, client: &Client) -> Ending {
    let call = client.call::<ModelListMethod>(ModelListParams {});
    let answer = waiting(&context.output, "listing", call).await?;
    context.output.reply(&answer, |paint| render(&answer.models, paint))?;
    Ok(0)
}

/// Licence and source, before anything is fetched. Silent where nothing will be.
pub(crate) async fn introduce(output: &Output, client: &Client, name: Option<&str>) -> Result<(), Failure> {
    if output.is_json() {
        return Ok(());
    }
    let models = client.call::<ModelListMethod>(ModelListParams {}).await?.models;
    let model = models.iter().find(|m| name.is_none_or(|n| m.name.eq_ignore_ascii_case(n)));
    if let Some(model) = model.filter(|m| m.state != ModelState::Present) {
        output.note(&introduction(model, output.err_painter()));
    }
    Ok(())
}

fn introduction(model: &ModelInfo, paint: Painter) -> String {
    format!(
        "{} {}, {}\n  licence {}\n  from {}\n  to {}",
        paint.bold(&one_line(&model.name)),
        size(model.bytes),
        printable(&model.description),
        printable(&model.licence),
        printable(&model.source),
        printable(&model.path),
    )
}

/// Calls a method that reports how many bytes it has done.
async fn change<M>(
    context: &Context,
    client: &Client,
    doing: &'static str,
    name: Option<String>,
) -> Result<ModelChanged, WireError>
where
    M: Method<Params = ModelParams, Answer = ModelChanged>,
{
    let bar = bytes(&context.output, doing);
    let moving = bar.clone();
    let answer = client
        .call_with_progress::<M>(ModelParams { name }, move |progress| {
            moving.set_length(progress.total);
            moving.set_position(progress.done);
            if !progress.message.is_empty() {
                moving.set_message(one_line(&progress.message));
            }
        })
        .await;
    bar.finish_and_clear();
    answer
}

fn check_verified(model: &ModelInfo) -> Result<(), Failure> {
    let error = match model.state {
        ModelState::Present => return Ok(()),
        ModelState::Corrupt => {
            WireError::conflict(format!("{} is not what the catalogue pins: {}", model.name, model.path))
                .hint(format!("`podium models remove {0}`, then `podium models fetch {0}`", model.name))
        }
        ModelState::Absent | ModelState::Partial => {
            WireError::not_found(format!("{} is not on this machine", model.name))
                .hint(format!("`podium models fetch {}`", model.name))
        }
    };
    Err(error.into())
}

fn print(context: &Context, answer: &ModelChanged, what: &str) -> Ending {
    let data = Changed { models: [&answer.model], changed: answer.changed };
    context.output.reply(&data, |paint| {
        format!(
            "{} {} {what}\n  {}",
            paint.green("✓"),
            one_line(&answer.model.name),
            printable(&answer.model.path)
        )
    })?;
    Ok(0)
}

fn render(models: &[ModelInfo], paint: Painter) -> String {
    let mut rows = Rows::new(&["MODEL", "STATE", "SIZE", "LICENCE", "DESCRIPTION"]).right(2);
    for m in models {
        let state = match m.state {
            ModelState::Absent => "absent".to_owned(),
            ModelState::Partial => format!("partial, {}", size(m.bytes_present)),
            ModelState::Present if m.loaded => "present, loaded".to_owned(),
            ModelState::Present => "present".to_owned(),
            ModelState::Corrupt => "corrupt".to_owned(),
        };
        rows.push([m.name.clone(), state, size(m.bytes), m.licence.clone(), m.description.clone()]);
    }
    let mut text = rows.render(paint);
    if !models.iter().any(|m| m.state == ModelState::Present) {
        text += &format!("\n{} podium models fetch", paint.cyan("hint:"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(state: ModelState) -> ModelInfo {
        ModelInfo {
            name: "small".into(),
            description: "a very small model".into(),
            state,
            path: "/cache/small.gguf".into(),
            bytes: 98_362_432,
            bytes_present: 1_000_000,
            sha256: "ab".repeat(32),
            licence: "Apache-2.0".into(),
            source: "package small 0.1".into(),
            verified: false,
            loaded: false,
        }
    }

    #[test]
    fn a_list_without_a_usable_model_says_how_to_get_one() {
        insta::assert_snapshot!(render(&[model(ModelState::Partial)], Painter::new(false)));
    }

    #[test]
    fn licence_and_source_are_shown_before_a_fetch() {
        insta::assert_snapshot!(introduction(&model(ModelState::Absent), Painter::new(false)));
    }

    #[test]
    fn only_a_model_that_matches_is_verified() {
        assert!(check_verified(&model(ModelState::Present)).is_ok());
        assert!(
            matches!(check_verified(&model(ModelState::Corrupt)), Err(Failure::Wire(e)) if e.kind.exit_code() == 3)
        );
        assert!(
            matches!(check_verified(&model(ModelState::Absent)), Err(Failure::Wire(e)) if e.kind.exit_code() == 4)
        );
    }
}
