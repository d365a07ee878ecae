//! SIGKILL at random moments of an answer, of whatever takes part: what is shown is stored, in order, once, and the answer
//! becomes what it would have been. Fifty more with the local model are in `model/crash.rs`.

mod agents;
mod providers;
mod seen;
mod window;

use std::time::Instant;

use podium_harness::{JsonLines, TestEnvironment, process};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

use self::providers::Told;
use self::seen::Seen;
use self::window::Window;

#[test]
fn forty_kills_while_the_messages_api_answers() {
    kills(providers::anthropic, 40);
}

#[test]
fn forty_kills_while_a_server_of_openais_interface_answers() {
    kills(providers::openai, 40);
}

#[test]
fn twenty_five_kills_while_a_program_answers() {
    kills(providers::command, 25);
}

#[test]
fn twenty_five_kills_while_an_agent_of_the_protocol_answers() {
    kills(providers::acp, 25);
}

#[derive(Debug, Default)]
struct Kills {
    daemons: usize,
    clients: usize,
    windows: usize,
    /// While the answer was still being written.
    in_the_middle: usize,
}

impl Kills {
    fn all(&self) -> usize {
        self.daemons + self.clients + self.windows
    }
}

fn kills(provider: fn(&TestEnvironment) -> Told, wanted: usize) {
    let environment = TestEnvironment::new();
    let told = provider(&environment);
    environment.start_daemon();
    let seed = u64::from(std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos());
    let mut random = StdRng::seed_from_u64(seed);
    let start = Instant::now();
    let undisturbed = session(&environment, &told, 0, &mut Kills::default(), &mut random);
    assert_eq!(undisturbed, told.expected, "what it says when nothing happens");
    let mut kills = Kills::default();
    while kills.all() < wanted {
        let before = kills.all();
        let text = session(&environment, &told, wanted, &mut kills, &mut random);
        assert_eq!(text, undisturbed, "random seed {seed}: as if nothing had happened");
        assert!(kills.all() > before, "the answer is too short to be disturbed");
    }
    println!(
        "{}: {kills:?}; {} kills, 0 lost, 0 doubled, {:.1} s; random seed {seed}",
        told.provider,
        kills.all(),
        start.elapsed().as_secs_f64()
    );
    assert!(kills.in_the_middle * 10 >= kills.all() * 8, "too few landed in mid-answer: {kills:?}");
}

/// One session, disturbed until there were `limit` kills; the text that its client and its window were shown.
fn session(
    environment: &TestEnvironment,
    told: &Told,
    limit: usize,
    kills: &mut Kills,
    random: &mut StdRng,
) -> String {
    let mut lines = told.start(environment);
    let id = lines.read_type("session")["id"].as_str().unwrap().to_owned();
    let mut seen = Seen::default();
    let mut window = Window::open(environment, told, &id);
    let mut pieces_at_kills = Vec::new();
    while kills.all() < limit && read_some(&mut lines, &mut seen, random.random_range(1..25)) {
        wait_a_moment(random);
        pieces_at_kills.push(seen.texts());
        match random.random_range(0..10) {
            0..6 => {
                kills.daemons += 1;
                process::kill(daemon_pid(environment));
            }
            6..8 => {
                kills.clients += 1;
                lines.kill();
                while let Some(line) = lines.read() {
                    seen.push(&line);
                }
                lines = told.resume(environment, &id, seen.last());
            }
            _ => {
                kills.windows += 1;
                window.kill();
            }
        }
    }
    let end = read_to_end(&mut lines, &mut seen);
    assert_eq!(end["status"], "completed", "session {id}: {end:#}\n{}", environment.log());
    let (pieces, text) = (seen.texts(), seen.text());
    kills.in_the_middle += pieces_at_kills.iter().filter(|at| **at + 1 < pieces).count();
    assert_eq!(window.read_to_end().text(), text, "session {id}: the window was shown the same");
    window.close();
    seen.equals_stored(environment, &id);
    text
}

/// Reads so many texts; false when the answer is over before.
fn read_some(lines: &mut JsonLines, seen: &mut Seen, count: usize) -> bool {
    let enough = seen.texts() + count;
    while seen.texts() < enough && !seen.is_whole() {
        let line = lines.read().unwrap_or_else(|| panic!("it ended early: {:#?}", lines.seen().last()));
        assert_ne!(line["type"], "end", "{line:#}");
        seen.push(&line);
    }
    !seen.is_whole()
}

fn read_to_end(lines: &mut JsonLines, seen: &mut Seen) -> Value {
    while let Some(line) = lines.read() {
        seen.push(&line);
        if line["type"] == "end" {
            return line;
        }
    }
    panic!("the stream ended without an end: {:#?}", lines.seen().last());
}

/// Any moment between two pieces.
fn wait_a_moment(random: &mut StdRng) {
    let until = Instant::now() + std::time::Duration::from_micros(random.random_range(0..6_000));
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}

/// As the lock tells it: asking the daemon itself would take longer than a piece of text.
fn daemon_pid(environment: &TestEnvironment) -> u32 {
    std::fs::read_to_string(environment.home().lock_file()).unwrap().trim().parse().unwrap()
}
