//! SIGKILL of the daemon at random moments of an answer: what was shown is stored, in order, once, and the answer
//! becomes what it would have been. Fifty kills in all, in three tests that each stay within a test's time.

use std::time::{Duration, Instant};

use podium_harness::{TestEnvironment, TestRepo, process};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::transcript::{Asked, Transcript, read_texts, read_to_end};

/// Share of kills that must land while the model is still writing.
const MID_STREAM: f64 = 0.8;
/// Pieces of text behind a kill that prove it: no client is further behind the daemon than a few.
const BEHIND: usize = 5;

/// Longest answer, in tokens. A restart reads all of them again, one by one: a longer one makes each kill dearer and no
/// other.
const ANSWER: u32 = 120;
/// Most pieces of text between two kills.
const BETWEEN: usize = 16;

const STORIES: [&str; 3] = [
    "Write a long story about a lighthouse and the sea.",
    "Explain in detail how bread is made, from the grain to the table.",
    "Describe a walk through an old town, house by house.",
];

#[test]
fn seventeen_kills_while_it_tells_a_story() {
    kills(17, 0);
}

#[test]
fn seventeen_kills_while_it_explains() {
    kills(17, 1);
}

#[test]
fn sixteen_kills_while_it_describes() {
    kills(16, 2);
}

#[expect(clippy::print_stdout, reason = "how many kills landed where is the measurement")]
fn kills(wanted: usize, story: usize) {
    let environment = TestEnvironment::with_model();
    let repo = environment.repo();
    let seed = u64::from(std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos());
    let mut random = StdRng::seed_from_u64(seed);
    let (mut done, mut in_the_middle) = (0, 0);
    let start = Instant::now();
    for turn in 0.. {
        let asked = Asked { prompt: STORIES[story], seed: 1000 * turn + 7, max_tokens: ANSWER };
        let expected = asked.undisturbed(&environment, &repo);
        let found = one_session(&environment, &repo, &asked, wanted - done, &mut random);
        assert_eq!(found.text, expected, "random seed {seed}, turn {turn}: as if nothing had happened");
        assert!(found.kills > 0, "turn {turn}: the answer is too short to be disturbed: {expected:?}");
        done += found.kills;
        in_the_middle += found.in_the_middle;
        if done == wanted {
            break;
        }
    }
    let share = in_the_middle as f64 / done as f64;
    println!(
        "{done} kills, {in_the_middle} in mid-stream ({:.0} %), 0 gaps, 0 repeats, {:.0} s; random seed {seed}",
        share * 100.0,
        start.elapsed().as_secs_f64()
    );
    assert!(share >= MID_STREAM, "only {in_the_middle} of {done} kills landed in mid-stream");
}

struct Survived {
    kills: usize,
    in_the_middle: usize,
    text: String,
}

/// One session whose daemon is killed again and again while its client reads on.
fn one_session(
    environment: &TestEnvironment,
    repo: &TestRepo<'_>,
    asked: &Asked,
    limit: usize,
    random: &mut StdRng,
) -> Survived {
    let (id, mut lines) = asked.start(environment, repo);
    let mut shown = Transcript::default();
    let mut killed_behind = Vec::new();
    while killed_behind.len() < limit {
        read_texts(&mut lines, &mut shown, random.random_range(1..BETWEEN));
        if shown.is_final() {
            break;
        }
        wait_a_moment(random);
        let pid = daemon_pid(environment);
        process::kill(pid);
        killed_behind.push(shown.text_items());
    }
    let (shown, end) = read_to_end(&mut lines, shown);
    assert_eq!(end["status"], "completed", "session {id}: {end:#}");
    assert_eq!(lines.finish(), Some(0));
    shown.equals_stored(environment, &id);
    let pieces = shown.text_items();
    Survived {
        kills: killed_behind.len(),
        in_the_middle: killed_behind.iter().filter(|behind| *behind + BEHIND < pieces).count(),
        text: shown.text(),
    }
}

/// Any moment between two pieces of text, which come every 10 to 20 ms.
fn wait_a_moment(random: &mut StdRng) {
    let until = Instant::now() + Duration::from_micros(random.random_range(0..20_000));
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}

/// As the lock tells it: asking the daemon itself would take longer than a piece of text.
fn daemon_pid(environment: &TestEnvironment) -> u32 {
    std::fs::read_to_string(environment.home().lock_file()).unwrap().trim().parse().unwrap()
}
