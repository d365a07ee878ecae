//! Tasks between their assignment and their one outcome.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use podium_broker::{ListenOptions, Patience, Task, TaskHandler, Tasks, Worked, listen};
use podium_protocol::{TaskListParams, TaskListenEnd, TaskOutcome, TaskState};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::Bed;

type Work = Box<dyn Fn(&Task) -> Worked + Send + Sync>;

/// Works as the test says, and keeps what it was given.
struct Worker {
    work: Work,
    /// Attempts that may go on.
    gate: Semaphore,
    seen: Mutex<Vec<(String, String)>>,
    abandoned: AtomicU32,
}

impl Worker {
    fn new(work: impl Fn(&Task) -> Worked + Send + Sync + 'static) -> Arc<Self> {
        Self::held(1000, work)
    }

    fn held(permits: usize, work: impl Fn(&Task) -> Worked + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            work: Box::new(work),
            gate: Semaphore::new(permits),
            seen: Mutex::default(),
            abandoned: AtomicU32::new(0),
        })
    }

    fn seen(&self) -> Vec<(String, String)> {
        self.seen.lock().unwrap().clone()
    }
}

#[async_trait]
impl TaskHandler for Worker {
    async fn work(&self, task: &Task) -> Worked {
        self.seen.lock().unwrap().push((task.id.clone(), task.session.clone()));
        self.gate.acquire().await.unwrap().forget();
        (self.work)(task)
    }

    async fn abandon(&self, _task: &Task) -> TaskOutcome {
        self.abandoned.fetch_add(1, Ordering::Relaxed);
        TaskOutcome { worktree: Some("feat-x".into()), ..TaskOutcome::default() }
    }
}

fn done(task: &Task) -> Worked {
    Worked::Done(TaskOutcome { commits: vec![format!("commit of {}", task.id)], ..TaskOutcome::default() })
}

fn options(listener: &str) -> ListenOptions {
    ListenOptions {
        queue: "tasks".into(),
        listener: listener.into(),
        agent_id: None,
        workers: 2,
        most: None,
        until_empty: true,
        patience: Patience { attempts: 3, cuts: 5, pause: Duration::ZERO },
    }
}

async fn assign(bed: &Bed, ids: impl IntoIterator<Item = u32>) {
    for id in ids {
        let data = json!({"id": format!("t-{id}"), "task": format!("Write {id}")});
        bed.publish("task.assigned", data).await.unwrap();
    }
}

async fn states(bed: &Bed, tasks: &Tasks) -> Vec<(String, TaskState)> {
    let mut found = tasks.list(TaskListParams::default()).await.unwrap();
    assert_eq!(found.len(), bed.log("task.assigned").await.len());
    found.reverse();
    found.into_iter().map(|task| (task.id, task.state)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listeners_share_a_queue_and_each_task_has_one_outcome() {
    let bed = Bed::new();
    assign(&bed, 0..20).await;
    let worker = Worker::new(done);
    let one = tokio::spawn(listen(bed.tasks.clone(), worker.clone(), options("a")));
    let two = tokio::spawn(listen(bed.tasks.clone(), worker.clone(), options("b")));
    assert_eq!((one.await.unwrap(), two.await.unwrap()), (TaskListenEnd::Empty, TaskListenEnd::Empty));
    assert_eq!(worker.seen().len(), 20);
    let outcomes = bed.log("task.completed").await;
    let mut ids: Vec<&str> = outcomes.iter().map(|event| event.data["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((outcomes.len(), ids.len()), (20, 20));
    let first = outcomes.iter().find(|event| event.data["id"] == "t-0").unwrap();
    let assigned = &bed.log("task.assigned").await[0];
    assert_eq!(first.causation_id.as_ref(), Some(&assigned.id));
    assert_eq!((&first.data["task"], &first.data["commits"]), (&json!("Write 0"), &json!(["commit of t-0"])));
}

#[tokio::test]
async fn a_task_that_was_cut_off_goes_on_in_the_same_session_before_any_other() {
    let bed = Bed::new();
    assign(&bed, 0..2).await;
    let stuck = Worker::held(0, done);
    let one = ListenOptions { workers: 1, ..options("a") };
    let listening = tokio::spawn(listen(bed.tasks.clone(), stuck.clone(), one.clone()));
    while stuck.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    listening.abort();
    // As a next process has it: nobody there holds anything.
    let next = Tasks::new(bed.store.clone());
    let worker = Worker::new(done);
    listen(next.clone(), worker.clone(), one).await;
    let (before, after) = (stuck.seen(), worker.seen());
    assert_eq!(before[0], after[0], "the same task in the same session");
    assert_eq!(after.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["t-0", "t-1"]);
    assert_eq!(next.show("t-0").await.unwrap().cuts, 1);
    // The process that was thought dead comes to its end: the outcome stands.
    stuck.gate.add_permits(1);
    bed.publish("task.assigned", json!({"id": "t-9", "task": "x"})).await.unwrap();
    assert_eq!(bed.log("task.completed").await.len(), 2);
}

#[tokio::test]
async fn a_task_that_always_fails_is_a_dead_letter_with_its_reason_until_it_is_assigned_again() {
    let bed = Bed::new();
    assign(&bed, 0..1).await;
    let worker = Worker::new(|_| Worked::Again { reason: "no such repository".into() });
    listen(bed.tasks.clone(), worker.clone(), options("a")).await;
    assert_eq!((worker.seen().len(), worker.abandoned.load(Ordering::Relaxed)), (3, 1));
    let letter = bed.tasks.show("t-0").await.unwrap();
    assert_eq!((letter.state, letter.attempts), (TaskState::Dead, 3));
    assert_eq!(letter.reason.as_deref(), Some("no such repository"));
    let failed = bed.log("task.failed").await;
    assert_eq!((failed.len(), &failed[0].data["dead"]), (1, &json!(true)), "{failed:#?}");

    let session = letter.session.unwrap();
    assert_eq!(bed.tasks.retry("t-0").await.unwrap().state, TaskState::Assigned);
    assert!(bed.tasks.retry("t-0").await.is_err(), "it waits already");
    let better = Worker::new(|task| {
        assert_eq!(task.worktree.as_deref(), Some("feat-x"), "where it was left");
        done(task)
    });
    listen(bed.tasks.clone(), better.clone(), options("a")).await;
    assert_ne!(better.seen()[0].1, session, "in a session of its own");
    assert_eq!(bed.tasks.show("t-0").await.unwrap().state, TaskState::Done);
}

#[tokio::test]
async fn a_task_that_ends_each_process_is_a_dead_letter_too() {
    let bed = Bed::new();
    assign(&bed, 0..1).await;
    for cut in 0..=6 {
        // Each in a process of its own, as far as the queue can tell.
        let (tasks, worker) = (Tasks::new(bed.store.clone()), Worker::held(0, done));
        let listening = tokio::spawn(listen(tasks.clone(), worker.clone(), options("a")));
        while worker.seen().is_empty() && tasks.show("t-0").await.unwrap().state != TaskState::Dead {
            tokio::task::yield_now().await;
        }
        listening.abort();
        let state = tasks.show("t-0").await.unwrap().state;
        assert_eq!(state == TaskState::Dead, cut == 6, "after {cut}");
    }
    assert_eq!(bed.log("task.failed").await.len(), 1);
}

#[tokio::test]
async fn a_listener_that_goes_away_leaves_its_task_to_the_daemon_and_the_rest_to_others() {
    let bed = Bed::new();
    assign(&bed, 0..3).await;
    let slow = Worker::held(0, done);
    let listening =
        tokio::spawn(listen(bed.tasks.clone(), slow.clone(), ListenOptions { workers: 1, ..options("a") }));
    while slow.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    listening.abort();
    let _ = listening.await;
    let other = Worker::new(done);
    let rest = tokio::spawn(listen(bed.tasks.clone(), other.clone(), options("b")));
    while other.seen().len() < 2 {
        tokio::task::yield_now().await;
    }
    slow.gate.add_permits(1);
    assert_eq!(rest.await.unwrap(), TaskListenEnd::Empty);
    assert_eq!(other.seen().len(), 2, "what somebody works on is nobody else's");
    assert!(states(&bed, &bed.tasks).await.iter().all(|(_, state)| *state == TaskState::Done));
    assert_eq!(bed.log("task.completed").await.len(), 3);
}

#[tokio::test]
async fn one_listens_for_as_many_outcomes_as_asked_also_after_it_came_back() {
    let bed = Bed::new();
    assign(&bed, 0..5).await;
    let two = ListenOptions { most: Some(2), until_empty: false, workers: 4, ..options("a") };
    let worker = Worker::new(done);
    assert_eq!(listen(bed.tasks.clone(), worker.clone(), two.clone()).await, TaskListenEnd::Enough);
    assert_eq!(listen(bed.tasks.clone(), worker.clone(), two).await, TaskListenEnd::Enough);
    assert_eq!(worker.seen().len(), 2);
}

#[tokio::test]
async fn a_task_for_an_agent_waits_for_that_one() {
    let bed = Bed::new();
    bed.publish("task.assigned", json!({"id": "hers", "task": "x", "agentId": "ada"})).await.unwrap();
    bed.publish("task.assigned", json!({"id": "free", "task": "x"})).await.unwrap();
    bed.publish("task.assigned", json!({"id": "far", "task": "x", "queue": "other"})).await.unwrap();
    let (bobs, adas) = (Worker::new(done), Worker::new(done));
    let of = |agent: &str| ListenOptions { agent_id: Some(agent.into()), ..options(agent) };
    listen(bed.tasks.clone(), bobs.clone(), of("bob")).await;
    assert_eq!(bobs.seen().iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["free"]);
    listen(bed.tasks.clone(), adas.clone(), of("ada")).await;
    assert_eq!(adas.seen().iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["hers"]);
    assert_eq!(bed.tasks.show("far").await.unwrap().state, TaskState::Assigned);
}

#[tokio::test]
async fn what_a_person_reports_ends_a_task_once() {
    let bed = Bed::new();
    assign(&bed, 0..2).await;
    let reported = bed.publish("task.completed", json!({"id": "t-0", "commits": ["abc"]})).await.unwrap();
    assert_eq!(reported.task.unwrap().state, TaskState::Done);
    assert!(bed.publish("task.failed", json!({"id": "t-0"})).await.is_err(), "it has its outcome");
    assert!(bed.publish("task.completed", json!({"id": "nobody's"})).await.is_err());
    let worker = Worker::new(done);
    listen(bed.tasks.clone(), worker.clone(), options("a")).await;
    assert_eq!(worker.seen().len(), 1, "what is done is not done again");
    assert_eq!(bed.log("task.completed").await.len(), 2);
}
