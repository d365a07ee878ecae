//! The steps of the main job, in their order.

use std::time::Duration;

use podium_cli::context::selector_of;
use podium_cli::output::Failure;
use podium_cli::progress::{bytes, pieces};
use podium_cli::style::{one_line, size};
use podium_client::{Client, ConnectionState};
use podium_protocol::{
    Alive, ArtifactSearch, ArtifactSearchParams, ClaimAcquire, ClaimAcquireParams, ClaimAcquired,
    ClaimRelease, ClaimReleaseParams, ErrorKind, ItemKind, Method, ModelChanged, ModelFetch, ModelParams,
    ModelState, ModelVerify, RepoSelector, SessionItem, SessionResume, SessionResumeParams, SessionShow,
    SessionShowParams, SessionShown, SessionStart, SessionStartParams, SessionStatus, Status, StatusParams,
    WireError, Worktree, WorktreeCreate, WorktreeCreateParams, WorktreeRemove, WorktreeRemoveParams,
};

use super::progress::Show;
use super::report::{ArtifactReport, SessionReport, gaps_and_repeats, text_of};
use super::source::{Excerpt, Source, excerpt};
use super::stage::Stage;
use crate::models::introduce;

const WORKTREE: &str = "feat-hello";
const AGENT: &str = "agent-one";
const OTHER_AGENT: &str = "agent-two";
/// Any number; the same one twice gives the same text twice.
const SEED: u64 = 135;
const TEMPERATURE: f64 = 0.7;
const MAX_TOKENS: u32 = 180;
/// Pieces of the answer that are shown before the daemon is killed: enough to see, and far from the end.
const KILL_AFTER: usize = 10;
/// Longest wait for one more piece of an answer. Reading the prompt on a slow machine takes the most of it.
const PIECE_TIMEOUT: Duration = Duration::from_secs(120);
/// Longest wait for a killed process to be gone.
const DEATH_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for the search index to have what was stored.
const INDEX_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn run(show: &mut Show, stage: &Stage, source: &Source) -> Result<(), Failure> {
    let client = stage.client();
    let pid = show.step("start daemon", start_daemon(&client, "on its own home")).await?;
    show.report.daemon_pids.push(pid);
    prepare_model(show, &client).await?;
    let at = clone(show, stage, source).await?;
    let claim = claim(show, &client, &at).await?;
    let prompt = prompt(&excerpt(&stage.clone_folder())?);
    let (session, client) = crash(show, stage, &client, pid, &at, &prompt).await?;
    compare(show, &client, &at, &prompt, &session).await?;
    find_artifact(show, &client, &session).await?;
    leave(show, &client, &at, &claim).await
}

async fn start_daemon(client: &Client, how: &str) -> Result<(u32, String), Failure> {
    let status = client.call::<Status>(StatusParams {}).await?;
    Ok((status.pid, format!("pid {}, {how}", status.pid)))
}

async fn prepare_model(show: &mut Show, client: &Client) -> Result<(), Failure> {
    introduce(&show.output, client, None).await?;
    let bar = bytes(&show.output, "fetching the model");
    let fetched = async {
        let answer = moving::<ModelFetch>(client, &bar).await?;
        let how = if answer.changed { "fetched" } else { "here already" };
        let m = &answer.model;
        Ok(((), format!("{}, {}, {}, {how}", m.name, size(m.bytes), m.licence)))
    };
    show.step_with("fetch model", bar.clone(), fetched).await?;
    let bar = bytes(&show.output, "verifying the model");
    let verified = async {
        let model = moving::<ModelVerify>(client, &bar).await?.model;
        if model.state != ModelState::Present {
            return Err(WireError::conflict(format!("{} is not what the catalogue pins", model.path))
                .hint("podium models remove, then try again")
                .into());
        }
        Ok(((), format!("sha256 {}…", model.sha256.get(..12).unwrap_or(&model.sha256))))
    };
    show.step_with("verify model", bar.clone(), verified).await
}

async fn moving<M>(client: &Client, bar: &indicatif::ProgressBar) -> Result<ModelChanged, WireError>
where
    M: Method<Params = ModelParams, Answer = ModelChanged>,
{
    let bar = bar.clone();
    client
        .call_with_progress::<M>(ModelParams::default(), move |progress| {
            bar.set_length(progress.total);
            bar.set_position(progress.done);
        })
        .await
}

async fn clone(show: &mut Show, stage: &Stage, source: &Source) -> Result<RepoSelector, Failure> {
    let target = stage.clone_folder();
    let work = async {
        let detached = source.clone_to(&target)?;
        let note = if detached { ", HEAD was detached" } else { "" };
        Ok(((), format!("{} into {}{note}", source.folder().display(), stage.root().display())))
    };
    show.step("clone repository", work).await?;
    Ok(selector_of(&target))
}

async fn claim(show: &mut Show, client: &Client, at: &RepoSelector) -> Result<ClaimAcquired, Failure> {
    let make = async {
        let params = WorktreeCreateParams {
            at: at.clone(),
            kind: Some("feat".to_owned()),
            name: Some("hello".to_owned()),
            ..WorktreeCreateParams::default()
        };
        let made = client.call::<WorktreeCreate>(params).await?;
        let Worktree { name, branch, .. } = made.worktree;
        expect(name == WORKTREE, || format!("the worktree is named {name}, not {WORKTREE}"))?;
        Ok(((), format!("{name} on branch {}, {:.0} ms inside", branch.unwrap_or_default(), made.elapsed_ms)))
    };
    show.step("create worktree", make).await?;
    let take = async {
        // Bound to this process, so that its owner can be proven alive.
        let claim = client.call::<ClaimAcquire>(claim_params(at, AGENT, Some(std::process::id()))).await?;
        let detail = format!("{} holds {}, token {}", claim.agent_id, claim.worktree, claim.token);
        Ok((claim, detail))
    };
    let claim = show.step("claim as an agent", take).await?;
    let refuse = async {
        match client.call::<ClaimAcquire>(claim_params(at, OTHER_AGENT, None)).await {
            Ok(_) => Err(WireError::internal(format!("{OTHER_AGENT} got what {AGENT} holds")).into()),
            Err(error) => refusal(error),
        }
    };
    show.step("second agent is refused", refuse).await?;
    Ok(claim)
}

fn claim_params(at: &RepoSelector, agent: &str, pid: Option<u32>) -> ClaimAcquireParams {
    ClaimAcquireParams {
        at: at.clone(),
        worktree: Some(WORKTREE.to_owned()),
        agent_id: Some(agent.to_owned()),
        pid,
        ..ClaimAcquireParams::default()
    }
}

fn refusal(error: WireError) -> Result<((), String), Failure> {
    match &error.owner {
        Some(owner) if error.kind == ErrorKind::Conflict && owner.agent_id == AGENT => {
            let alive = if owner.alive == Alive::Yes { "alive" } else { "not proven alive" };
            Ok(((), format!("{OTHER_AGENT} is told: held by {}, {alive}", owner.agent_id)))
        }
        _ => Err(error.into()),
    }
}

fn prompt(file: &Excerpt) -> String {
    format!(
        "This is the beginning of the file {}:\n\n{}\n\nExplain in a few paragraphs what this file is about and who it is for.",
        file.name, file.text
    )
}

/// The answer, killed in its middle and finished by a second daemon. Gives the connection to that one.
async fn crash(
    show: &mut Show,
    stage: &Stage,
    client: &Client,
    pid: u32,
    at: &RepoSelector,
    prompt: &str,
) -> Result<(Answer, Client), Failure> {
    let bar = pieces(&show.output, u64::from(MAX_TOKENS));
    let begin = async {
        let id = start_session(client, at, prompt).await?;
        let mut shown = Vec::new();
        let ended = read(client, &id, 0, &mut shown, &bar, KILL_AFTER).await?;
        expect(ended.is_none(), || "the answer ended before the daemon could be killed".to_owned())?;
        let detail = format!("{} items shown, the answer goes on", shown.len());
        Ok(((id, shown), detail))
    };
    let (id, mut shown) = show.step_with("stream an answer", bar.clone(), begin).await?;
    let killed_at = shown.last().map_or(0, |i| i.seq);
    show.step("SIGKILL the daemon", kill(client, pid, killed_at)).await?;
    let client = stage.client();
    let restart = async {
        let (second, detail) = start_daemon(&client, "a new one").await?;
        let stored = show_session(&client, &id).await?;
        let finished =
            stored.items.iter().any(|i| i.is_final) || stored.session.status == SessionStatus::Completed;
        expect(!finished, || "the model had finished before the kill landed".to_owned())?;
        expect(second != pid, || format!("the killed daemon {pid} answers"))?;
        let last = stored.session.last_seq;
        expect(last >= killed_at, || format!("item {killed_at} was shown, and only {last} are stored"))?;
        Ok(((second, last), format!("{detail}; {last} items stored, {}", stored.session.status.as_str())))
    };
    let (second, resumed_from) = show.step("restart", restart).await?;
    show.report.daemon_pids.push(second);
    let bar = pieces(&show.output, u64::from(MAX_TOKENS));
    let resume = finish(&client, &id, killed_at, &mut shown, &bar);
    let artifact = show.step_with("resume the answer", bar.clone(), resume).await?;
    let check = check(&client, &id, &shown);
    let items = show.step("check gaps and repeats", check).await?;
    let (gaps, repeats) = gaps_and_repeats(&shown);
    let text = text_of(&items);
    show.report.session = Some(SessionReport {
        id: id.clone(),
        text: text.clone(),
        items,
        shown,
        killed_at_seq: killed_at,
        resumed_from_seq: resumed_from,
        gaps,
        repeats,
        same_as_undisturbed: None,
    });
    Ok((Answer { id, text, artifact }, client))
}

/// A finished answer.
struct Answer {
    id: String,
    text: String,
    artifact: Option<String>,
}

async fn start_session(client: &Client, at: &RepoSelector, prompt: &str) -> Result<String, WireError> {
    let params = SessionStartParams {
        at: at.clone(),
        provider: Some("local".to_owned()),
        prompt: Some(prompt.to_owned()),
        worktree: Some(WORKTREE.to_owned()),
        agent_id: Some(AGENT.to_owned()),
        seed: Some(SEED),
        max_tokens: Some(MAX_TOKENS),
        temperature: Some(TEMPERATURE),
        ..SessionStartParams::default()
    };
    Ok(client.call::<SessionStart>(params).await?.id)
}

/// How a session ended.
struct Ended {
    status: SessionStatus,
    artifact: Option<String>,
}

/// Reads items behind `from_seq` until the end, or until `stop` pieces of text are there.
async fn read(
    client: &Client,
    id: &str,
    from_seq: u64,
    shown: &mut Vec<SessionItem>,
    bar: &indicatif::ProgressBar,
    stop: usize,
) -> Result<Option<Ended>, Failure> {
    let mut stream = client.attach(id, from_seq, false).await?;
    loop {
        let update = match tokio::time::timeout(PIECE_TIMEOUT, stream.next()).await {
            Ok(Some(update)) => update?,
            Ok(None) => return Err(WireError::unavailable("the stream ended before the answer did").into()),
            Err(_) => {
                let seconds = PIECE_TIMEOUT.as_secs();
                return Err(WireError::unavailable(format!("the model said nothing for {seconds} s")).into());
            }
        };
        for item in update.items {
            shown.push(item);
            let texts = shown.iter().filter(|i| i.kind == ItemKind::Text).count();
            bar.set_position(texts as u64);
            bar.set_message(newest_words(shown));
            if texts >= stop {
                return Ok(None);
            }
        }
        if let Some(end) = update.end {
            return Ok(Some(Ended { status: end.status, artifact: end.artifact }));
        }
    }
}

/// The end of the text so far, for the line behind the bar.
fn newest_words(shown: &[SessionItem]) -> String {
    let tail = shown.get(shown.len().saturating_sub(12)..).unwrap_or(shown);
    one_line(&text_of(tail))
}

/// Kills the daemon as nothing can prevent it, and waits until its end of the connection is gone.
async fn kill(client: &Client, pid: u32, seq: u64) -> Result<((), String), Failure> {
    let mut state = client.state();
    kill_process(pid)?;
    let gone = state.wait_for(|s| !matches!(s, ConnectionState::Connected { pid: p, .. } if *p == pid));
    if tokio::time::timeout(DEATH_TIMEOUT, gone).await.is_err() {
        return Err(WireError::internal(format!("pid {pid} outlives SIGKILL")).into());
    }
    Ok(((), format!("pid {pid} is dead, in mid-answer behind item {seq}")))
}

#[cfg(unix)]
fn kill_process(pid: u32) -> Result<(), Failure> {
    let target = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let target = target.ok_or_else(|| WireError::internal(format!("{pid} is no process id")))?;
    rustix::process::kill_process(target, rustix::process::Signal::KILL)
        .map_err(|e| WireError::internal(format!("pid {pid} cannot be killed: {e}")).into())
}

#[cfg(not(unix))]
fn kill_process(_pid: u32) -> Result<(), Failure> {
    Err(WireError::unavailable("killing a process is only known on Unix here").into())
}

async fn finish(
    client: &Client,
    id: &str,
    from_seq: u64,
    shown: &mut Vec<SessionItem>,
    bar: &indicatif::ProgressBar,
) -> Result<(Option<String>, String), Failure> {
    let before = shown.len();
    client
        .call::<SessionResume>(SessionResumeParams { id: Some(id.to_owned()), ..Default::default() })
        .await?;
    let ended = read(client, id, from_seq, shown, bar, usize::MAX).await?;
    let ended = completed(ended)?;
    Ok((ended.artifact, format!("{} more items, {}", shown.len() - before, ended.status.as_str())))
}

fn completed(ended: Option<Ended>) -> Result<Ended, Failure> {
    match ended {
        Some(ended) if ended.status == SessionStatus::Completed => Ok(ended),
        Some(ended) => {
            Err(WireError::internal(format!("the session ended as {}", ended.status.as_str())).into())
        }
        None => Err(WireError::internal("the session did not end").into()),
    }
}

async fn show_session(client: &Client, id: &str) -> Result<SessionShown, WireError> {
    client.call::<SessionShow>(SessionShowParams { id: Some(id.to_owned()), from_seq: None }).await
}

/// What was shown is what is stored: every item once, in order, with the same text.
async fn check(
    client: &Client,
    id: &str,
    shown: &[SessionItem],
) -> Result<(Vec<SessionItem>, String), Failure> {
    let stored = show_session(client, id).await?.items;
    let (gaps, repeats) = gaps_and_repeats(shown);
    expect(gaps == 0 && repeats == 0, || format!("{gaps} gaps and {repeats} repeats in what was shown"))?;
    let seen = |items: &[SessionItem]| -> Vec<(u64, ItemKind, String, bool)> {
        items.iter().map(|i| (i.seq, i.kind, i.text.clone(), i.is_final)).collect()
    };
    expect(seen(shown) == seen(&stored), || "what was shown is not what is stored".to_owned())?;
    let detail = format!("0 gaps, 0 repeats in {} items, all as stored", stored.len());
    Ok((stored, detail))
}

async fn compare(
    show: &mut Show,
    client: &Client,
    at: &RepoSelector,
    prompt: &str,
    answer: &Answer,
) -> Result<(), Failure> {
    let bar = pieces(&show.output, u64::from(MAX_TOKENS));
    let work = async {
        let id = start_session(client, at, prompt).await?;
        let mut shown = Vec::new();
        completed(read(client, &id, 0, &mut shown, &bar, usize::MAX).await?)?;
        let same = text_of(&shown) == answer.text;
        Ok((
            same,
            format!(
                "{} characters, {}",
                answer.text.chars().count(),
                if same { "the same" } else { "different" }
            ),
        ))
    };
    let same = show.step_with("undisturbed run, same seed", bar.clone(), work).await?;
    if let Some(session) = &mut show.report.session {
        session.same_as_undisturbed = Some(same);
    }
    if !same && let Some(step) = show.report.steps.last_mut() {
        step.ok = false;
    }
    expect(same, || "the resumed answer differs from the one nobody disturbed".to_owned())
}

async fn find_artifact(show: &mut Show, client: &Client, answer: &Answer) -> Result<(), Failure> {
    let query = distinctive_words(&answer.text);
    let work = async {
        let id = match &answer.artifact {
            Some(id) => Some(id.clone()),
            None => show_session(client, &answer.id).await?.session.artifact,
        };
        let id = id.ok_or_else(|| WireError::internal("the answer was not stored as an artifact"))?;
        search(client, &query, &id).await?;
        let detail = format!("{} is found by \"{query}\"", id.get(..13).unwrap_or(&id));
        Ok((id, detail))
    };
    let id = show.step("find the artifact", work).await?;
    show.report.artifact = Some(ArtifactReport { id, found: true });
    Ok(())
}

/// Searches until the artifact is among the hits.
async fn search(client: &Client, query: &str, id: &str) -> Result<(), WireError> {
    let deadline = tokio::time::Instant::now() + INDEX_TIMEOUT;
    loop {
        let params = ArtifactSearchParams { query: query.to_owned(), limit: Some(50), ..Default::default() };
        if client.call::<ArtifactSearch>(params).await?.hits.iter().any(|hit| hit.id == id) {
            return Ok(());
        }
        if tokio::time::Instant::now() > deadline {
            return Err(WireError::internal(format!(
                "artifact {id} is not found by its own words \"{query}\""
            )));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The three longest words of a text, which few other texts have together.
fn distinctive_words(text: &str) -> String {
    let mut words: Vec<&str> = text.split(|c: char| !c.is_alphabetic()).filter(|w| !w.is_empty()).collect();
    words.sort_by_key(|w| std::cmp::Reverse(w.len()));
    words.dedup();
    words.truncate(3);
    words.join(" ")
}

async fn leave(
    show: &mut Show,
    client: &Client,
    at: &RepoSelector,
    claim: &ClaimAcquired,
) -> Result<(), Failure> {
    let release = async {
        let params = ClaimReleaseParams {
            at: at.clone(),
            worktree: Some(WORKTREE.to_owned()),
            agent_id: Some(AGENT.to_owned()),
            token: Some(claim.token),
            ..ClaimReleaseParams::default()
        };
        let released = client.call::<ClaimRelease>(params).await?;
        Ok(((), format!("{} is free again", released.worktree)))
    };
    show.step("release", release).await?;
    let remove = async {
        let params = WorktreeRemoveParams {
            at: at.clone(),
            name: Some(WORKTREE.to_owned()),
            ..WorktreeRemoveParams::default()
        };
        let removed = client.call::<WorktreeRemove>(params).await?;
        expect(!std::path::Path::new(&claim.path).exists(), || format!("{} is still there", claim.path))?;
        Ok(((), format!("{} is gone; could be undone as {}", removed.name, removed.undo)))
    };
    show.step("remove", remove).await
}

fn expect(holds: bool, message: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(WireError::internal(message()).into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use podium_protocol::ClaimOwner;

    #[test]
    fn the_longest_words_are_searched_for() {
        assert_eq!(
            distinctive_words("A file, about lighthouses; and (keepers) of the sea."),
            "lighthouses keepers about"
        );
        assert_eq!(distinctive_words("…"), "");
    }

    #[test]
    fn only_a_refusal_that_names_the_owner_counts() {
        let owner = ClaimOwner {
            agent_id: AGENT.into(),
            host: "box".into(),
            pid: Some(1),
            since: "2026-01-02T03:04:05Z".into(),
            alive: Alive::Yes,
            session: None,
        };
        assert!(refusal(WireError::conflict("taken").owned_by(owner.clone())).is_ok());
        assert!(refusal(WireError::conflict("taken")).is_err());
        assert!(refusal(WireError::busy("later").owned_by(owner)).is_err());
    }
}
