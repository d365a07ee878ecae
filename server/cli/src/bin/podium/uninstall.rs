//! `podium uninstall`: takes back what Podium left in repositories, then its state.

use std::io::{BufRead, Write};
use std::path::Path;

use podium_cli::context::{Context, selector_of};
use podium_cli::output::{Ending, Failure, usage};
use podium_cli::progress::waiting;
use podium_cli::style::{printable, shell_word, size};
use podium_client::Client;
use podium_config::Home;
use podium_protocol::{
    RepoForget, RepoForgetParams, RepoForgotten, RepoListMethod, RepoListParams, RepoRef, WireError,
};
use serde::Serialize;

use crate::args::UninstallArgs;
use crate::daemon::{home, stop_and_wait};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Uninstalled {
    repos: Vec<RepoForgotten>,
    /// Folder that was deleted.
    home: String,
    /// What it held, in bytes.
    freed_bytes: u64,
    /// Weights stay: other homes may use them, and fetching them again is slow.
    models_left: String,
}

pub(crate) async fn run(context: &Context, args: UninstallArgs) -> Ending {
    let home = home()?;
    check_deletable(&home)?;
    let client = context.client()?;
    let repos = client.call::<RepoListMethod>(RepoListParams {}).await?.repos;
    context.output.note(&plan(&home, &repos));
    if !args.yes && !confirmed(context)? {
        context.output.note("nothing was changed");
        return Ok(1);
    }
    let work = take_back(&client, &home, repos, args.force);
    let done = waiting(&context.output, "taking back", work).await?;
    context.output.reply(&done, |paint| {
        let undone: Vec<String> = done
            .repos
            .iter()
            .flat_map(|r| &r.undone)
            .map(|line| format!("  {}\n", printable(line)))
            .collect();
        let models = shell_word(&done.models_left);
        format!(
            "{}{} {} is deleted, {} freed\n{} model weights are left in {models}\n",
            undone.concat(),
            paint.green("✓"),
            printable(&done.home),
            size(done.freed_bytes),
            paint.cyan("hint:"),
        )
    })?;
    Ok(0)
}

fn plan(home: &Home, repos: &[RepoRef]) -> String {
    let mut text = "this will\n".to_owned();
    for repo in repos {
        text += &format!("  take Podium's locks, excludes and folders out of {}\n", printable(&repo.root));
    }
    let (root, held) = (home.root().display(), size(size_of(home)));
    text += &format!("  stop the daemon\n  delete {root} ({held}), with all sessions and artifacts\n");
    text + "worktrees and branches stay"
}

/// # Errors
/// A usage error where nobody can be asked.
fn confirmed(context: &Context) -> Result<bool, Failure> {
    if !context.output.is_interactive() {
        return Err(usage("nobody can be asked whether to uninstall", "give --yes"));
    }
    let mut err = std::io::stderr().lock();
    let _ = write!(err, "type yes to go on: ").and_then(|()| err.flush());
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    Ok(read.is_ok() && line.trim().eq_ignore_ascii_case("yes"))
}

async fn take_back(
    client: &Client,
    home: &Home,
    repos: Vec<RepoRef>,
    force: bool,
) -> Result<Uninstalled, Failure> {
    let mut forgotten = Vec::new();
    for repo in repos {
        let params = RepoForgetParams { at: selector_of(Path::new(&repo.root)), force, layout: false };
        match client.call::<RepoForget>(params).await {
            Ok(answer) => forgotten.push(answer),
            // A repository that was deleted has nothing left to take back.
            Err(error) if !Path::new(&repo.root).exists() => {
                let undone = vec![format!("{} is gone already ({})", repo.root, error.message)];
                forgotten.push(RepoForgotten { repo, undone });
            }
            Err(error) => return Err(error.hint("--force goes on although worktrees are claimed").into()),
        }
    }
    stop_and_wait(client).await?;
    let freed_bytes = size_of(home);
    delete(home)?;
    Ok(Uninstalled {
        repos: forgotten,
        home: home.root().display().to_string(),
        freed_bytes,
        models_left: home.models().display().to_string(),
    })
}

/// Refuses what cannot be a home: a mistaken `PODIUM_HOME` must not cost a person's files.
fn check_deletable(home: &Home) -> Result<(), Failure> {
    let root = home.root().canonicalize().unwrap_or_else(|_| home.root().to_owned());
    if !root.exists() {
        return Err(WireError::not_found(format!("{} does not exist", root.display())).into());
    }
    let user = std::env::var_os("HOME").map(std::path::PathBuf::from).and_then(|h| h.canonicalize().ok());
    let here = std::env::current_dir().ok().and_then(|h| h.canonicalize().ok());
    let holds = |path: &Option<std::path::PathBuf>| path.as_ref().is_some_and(|p| p.starts_with(&root));
    let is_home = home.token_file().is_file() && home.database().is_file();
    if holds(&user) || holds(&here) || root.join(".git").exists() || !is_home {
        return Err(WireError::user(format!("{} is not a folder of Podium's own", root.display()))
            .hint("check PODIUM_HOME, and start `podium uninstall` from somewhere else")
            .into());
    }
    Ok(())
}

/// Bytes that the home holds; links are not followed.
fn size_of(home: &Home) -> u64 {
    fs_extra::dir::get_size(home.root()).unwrap_or_default()
}

fn delete(home: &Home) -> Result<(), Failure> {
    let gone = |path: &Path| -> Result<(), Failure> {
        match std::fs::remove_dir_all(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(WireError::unavailable(format!("{} cannot be deleted: {error}", path.display())).into())
            }
            _ => Ok(()),
        }
    };
    // Elsewhere where the home's path is too long for a socket.
    if !home.run().starts_with(home.root()) {
        gone(&home.run())?;
    }
    gone(home.root())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_folder_of_podiums_own_is_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path().join("p"), dir.path().join("m"));
        assert!(check_deletable(&home).is_err(), "not there");
        std::fs::create_dir_all(home.store()).unwrap();
        assert!(check_deletable(&home).is_err(), "empty");
        std::fs::write(home.token_file(), "t").unwrap();
        std::fs::write(home.database(), "d").unwrap();
        assert!(check_deletable(&home).is_ok());
        std::fs::create_dir(home.root().join(".git")).unwrap();
        assert!(check_deletable(&home).is_err(), "a repository");
        assert!(check_deletable(&Home::new("/", "/m")).is_err(), "the root");
    }
}
