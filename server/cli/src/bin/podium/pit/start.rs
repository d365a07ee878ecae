//! `podium melody run`.

use std::io::Read as _;
use std::path::Path;

use podium_cli::context::{Context, repo_selector};
use podium_cli::output::{Ending, Failure, usage};
use podium_cli::progress::waiting;
use podium_protocol::{MAX_MELODY, MelodyRunParams, MelodyRunStart, WireError};
use serde_json::{Map, Value, json};

use super::args::MelodyRunArgs;
use super::follow::{self, Follow};

pub(crate) async fn run(context: &Context, args: MelodyRunArgs) -> Ending {
    let text = read(&args.file)?;
    let file = std::path::absolute(&args.file).map_err(|error| cannot_read(&args.file, &error))?;
    let params = MelodyRunParams {
        at: repo_selector(args.repo.as_deref())?,
        file: Some(file.to_string_lossy().into_owned()),
        text: Some(text),
        inputs: inputs(&args.inputs)?,
        run: None,
    };
    let client = context.client()?;
    let started = waiting(&context.output, "starting the run", client.call::<MelodyRunStart>(params)).await?;
    if args.detach {
        return detached(context, &started.run);
    }
    follow::follow(context, &client, Follow { run: started.run, from_seq: 0, own: true }).await
}

fn detached(context: &Context, run: &str) -> Ending {
    if context.output.is_json() {
        context.output.line(&json!({ "type": "run", "run": run }))?;
        context.output.line(&json!({ "type": "end", "run": run, "status": "queued" }))?;
    } else {
        context.output.text(&format!("{run}\n"))?;
        context.output.note(&format!("it goes on by itself; `podium runs watch {run}` shows it"));
    }
    Ok(0)
}

fn read(path: &Path) -> Result<String, Failure> {
    let file = std::fs::File::open(path).map_err(|error| cannot_read(path, &error))?;
    if !file.metadata().map_err(|error| cannot_read(path, &error))?.is_file() {
        return Err(WireError::user(format!("{} is no file", path.display())).into());
    }
    let mut bytes = Vec::new();
    file.take(MAX_MELODY as u64 + 1).read_to_end(&mut bytes).map_err(|error| cannot_read(path, &error))?;
    if bytes.len() > MAX_MELODY {
        let message = format!("{} has more than {} MiB", path.display(), MAX_MELODY >> 20);
        return Err(WireError::user(message).into());
    }
    String::from_utf8(bytes)
        .map_err(|_| WireError::user(format!("{} is not UTF-8 text", path.display())).into())
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("{} cannot be read: {error}", path.display());
    match error.kind() {
        std::io::ErrorKind::NotFound => WireError::not_found(message).into(),
        _ => WireError::user(message).into(),
    }
}

fn inputs(given: &[String]) -> Result<Map<String, Value>, Failure> {
    let read = |pair: &String| match pair.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), Value::String(value.to_owned()))),
        _ => Err(usage(format!("`{pair}` is no input"), "give --input NAME=VALUE")),
    };
    given.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_names_and_values() {
        let read = inputs(&["topic=the sea".into(), "formula=a=b".into()]).unwrap();
        assert_eq!(Value::Object(read), json!({ "topic": "the sea", "formula": "a=b" }));
        for bad in ["topic", "=x"] {
            assert!(matches!(inputs(&[bad.into()]), Err(Failure::Coded(_, 2))), "{bad}");
        }
    }
}
