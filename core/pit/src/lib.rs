//! The Pit executes melodies (seed 003, diagrams 1 and 7).
//!
//! [`dag`] runs the graph of one melody: what is ready, what runs, what is durable, and how a run goes on
//! after the death of its process. [`pool`] holds what nodes run on (models, provider connections, agent
//! processes), and [`arbitration`] decides who gets it. None of them knows what a node does: that is a
//! [`dag::NodeRunner`], which the daemon implements.

pub mod arbitration;
pub mod dag;
pub mod pool;
pub mod time;
