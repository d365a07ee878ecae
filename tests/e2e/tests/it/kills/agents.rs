//! SIGKILL of the agent itself and of the runner that keeps its words. Nobody can go on inside a dead program: what it had
//! said stays, is marked, and the turn is offered again.

use std::fs;
use std::time::Duration;

use podium_harness::{Poll, TestEnvironment, process};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::providers::{self, Told};
use super::seen::Seen;
use super::{read_some, read_to_end, wait_a_moment};

const EACH: usize = 5;
const PIECES: usize = 250;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Agent,
    Runner,
}

impl Victim {
    fn kill(self, environment: &TestEnvironment) {
        let pid = Poll::new(Duration::from_secs(10)).expect("it runs", || {
            let agent = agent(environment)?;
            match self {
                Self::Agent => Some(agent),
                Self::Runner => runner_of(agent),
            }
        });
        process::kill(pid);
    }
}

/// Told from its children, and from a sandbox around it, by how it was started.
fn agent(environment: &TestEnvironment) -> Option<u32> {
    let folder = environment.root().join(providers::FOLDER);
    let is_it = |pid: &u32| {
        let command = process::command_line(*pid);
        let program = command.split(' ').next().unwrap_or_default();
        (program.ends_with("/sh") || program.contains("python"))
            && ["talker.sh", "agent.py"].iter().any(|script| command.contains(script))
    };
    process::with_variable("AGENT_FOLDER", folder.as_os_str()).into_iter().find(is_it)
}

/// The nearest of its ancestors that is one.
fn runner_of(agent: u32) -> Option<u32> {
    let parent = |pid: u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok())
    };
    let ancestors = std::iter::successors(Some(agent), |pid| parent(*pid)).take(8);
    ancestors.skip(1).find(|pid| process::command_line(*pid).contains(" run-agent"))
}

/// What was shown of an answer that was cut off, and whether it was.
struct Cut {
    id: String,
    seen: Seen,
    in_the_middle: bool,
}

fn cut_off(environment: &TestEnvironment, told: &Told, victim: Victim, random: &mut StdRng) -> Cut {
    let mut lines = told.start(environment);
    let id = lines.read_type("session")["id"].as_str().unwrap().to_owned();
    let mut seen = Seen::default();
    read_some(&mut lines, &mut seen, random.random_range(1..60));
    wait_a_moment(random);
    victim.kill(environment);
    let end = read_to_end(&mut lines, &mut seen);
    let status = end["status"].as_str().unwrap_or_default();
    assert!(["parked", "completed"].contains(&status), "{victim:?}: {end:#}\n{}", environment.log());
    Cut { id, in_the_middle: status == "parked", seen }
}

/// The words before the mark that an answer is cut off, and those behind it.
fn at_mark<'a>(text: &'a str, name: &str) -> (&'a str, &'a str) {
    let (before, rest) = text.split_once(&format!("\n\n[{name} ")).unwrap();
    let (_, behind) = rest.split_once("the answer is cut off.]\n\n").unwrap();
    (before, behind)
}

fn random() -> StdRng {
    StdRng::seed_from_u64(u64::from(std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos()))
}

#[test]
fn a_killed_program_loses_nothing_that_it_wrote_and_runs_again_when_asked() {
    let environment = TestEnvironment::new();
    let told = providers::talker(&environment, PIECES);
    let (mut random, mut kills) = (random(), 0);
    let wrote = environment.root().join(providers::FOLDER).join("wrote");
    while kills < 2 * EACH {
        let _ = fs::remove_file(&wrote);
        let victim = if kills % 2 == 0 { Victim::Agent } else { Victim::Runner };
        let cut = cut_off(&environment, &told, victim, &mut random);
        assert!(cut.in_the_middle, "the answer is long enough");
        kills += 1;
        let shown = cut.seen.text();
        let (said, behind) = at_mark(&shown, "talker");
        assert_eq!(behind, "");
        let said_lines = format!("{}\n", said.trim_end_matches('\n'));
        assert!(told.expected.starts_with(&said_lines), "{victim:?}: {said:?}");
        // What died with the runner was never read by anybody; an agent's words are read to their end.
        let written = fs::read_to_string(&wrote).unwrap_or_default().lines().count();
        let lost = written.saturating_sub(said_lines.lines().count());
        assert!(lost == 0 || victim == Victim::Runner, "{lost} of {written} lines are lost");
        let mut seen = cut.seen;
        let mut lines = told.resume(&environment, &cut.id, seen.last());
        let end = read_to_end(&mut lines, &mut seen);
        assert_eq!(end["status"], "completed", "{end:#}");
        assert_eq!(seen.text(), format!("{shown}{}", told.expected), "all of it, once more");
        seen.equals_stored(&environment, &cut.id);
    }
    println!("command: {kills} kills of agents and runners, 0 lost, 0 doubled");
}

#[test]
fn a_killed_agent_of_the_protocol_goes_on_behind_its_last_words_when_asked() {
    let environment = TestEnvironment::new();
    let told = providers::teller(&environment, PIECES);
    let (mut random, mut kills) = (random(), 0);
    while kills < 2 * EACH {
        let victim = if kills % 2 == 0 { Victim::Agent } else { Victim::Runner };
        let cut = cut_off(&environment, &told, victim, &mut random);
        assert!(cut.in_the_middle, "the answer is long enough");
        kills += 1;
        let shown = cut.seen.text();
        let (said, _) = at_mark(&shown, "teller");
        let said_lines = format!("{}\n", said.trim_end_matches('\n'));
        assert!(told.expected.starts_with(&said_lines), "{victim:?}: {said:?}");
        let mut seen = cut.seen;
        let mut lines = told.resume(&environment, &cut.id, seen.last());
        let end = read_to_end(&mut lines, &mut seen);
        assert_eq!(end["status"], "completed", "{end:#}\n{}", environment.log());
        seen.equals_stored(&environment, &cut.id);
        let whole = seen.text();
        let (_, went_on) = at_mark(&whole, "teller");
        assert!(told.expected.ends_with(went_on), "{victim:?}: {:.300}", went_on);
        // Between its last words and its note of them an agent can die: it says that line again. What it noted as said
        // and the runner had not read yet, some lines on a busy machine, died with the runner.
        let (first, rest) = (said_lines.lines().count(), went_on.lines().count());
        assert!(first + rest <= PIECES + 1, "{victim:?}: {first} + {rest}");
        assert!(victim == Victim::Runner || first + rest >= PIECES, "{victim:?}: {first} + {rest}");
    }
    println!("acp: {kills} kills of agents and runners, 0 lost, 0 doubled by us");
}
