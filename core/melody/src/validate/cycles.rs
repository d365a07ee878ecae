//! Nodes that wait for each other. Tarjan's algorithm finds every group of them, without recursion.

use std::collections::{HashMap, VecDeque};

use super::Subject;
use crate::diagnostic::Code;
use crate::read::Reader;
use crate::structure::Structure;

pub(super) fn check(reader: &mut Reader<'_>, subject: &Subject<'_>) {
    for group in groups(&subject.structure) {
        let cycle = shortest(&subject.structure, &group);
        let Some((_, last)) = cycle.last() else { continue };
        let ids: Vec<String> = cycle
            .iter()
            .map(|(node, _)| *node)
            .chain(cycle.first().map(|(node, _)| *node))
            .map(|node| subject.melody.nodes[node].id.clone())
            .collect();
        let first = ids.first().cloned().unwrap_or_default();
        let message = if ids.len() == 2 {
            format!("`{first}` waits for itself")
        } else {
            format!("these nodes wait for each other: {}", shown(&ids))
        };
        let place = subject.places.edges[*last].whole.clone();
        let finding = reader.error(Code::CycleDetected, place, message);
        finding.hint("take one of these edges away; a `loop` repeats something a bounded number of times");
        finding.node(&first).path(ids);
    }
    check_stand_ins(reader, subject);
}

fn shown(ids: &[String]) -> String {
    const MOST: usize = 12;
    match ids {
        [first @ .., last] if ids.len() > MOST => {
            format!("{} -> ... ({} more) -> {last}", first[..MOST - 1].join(" -> "), ids.len() - MOST)
        }
        _ => ids.join(" -> "),
    }
}

/// Groups of nodes of which each can reach each other, in the order of the file; single nodes only with an edge to
/// themselves.
fn groups(structure: &Structure<'_>) -> Vec<Vec<usize>> {
    const UNSEEN: usize = usize::MAX;
    let count = structure.len();
    let (mut order, mut low, mut on_stack) = (vec![UNSEEN; count], vec![0; count], vec![false; count]);
    let (mut stack, mut found, mut next) = (Vec::new(), Vec::new(), 0);
    for root in 0..count {
        if order[root] != UNSEEN {
            continue;
        }
        let mut calls: Vec<(usize, usize)> = vec![(root, 0)];
        while let Some((node, edge)) = calls.pop() {
            if edge == 0 {
                order[node] = next;
                low[node] = next;
                next += 1;
                stack.push(node);
                on_stack[node] = true;
            }
            if let Some((_, to)) = structure.outgoing(node).get(edge).and_then(|edge| structure.ends[*edge]) {
                calls.push((node, edge + 1));
                if order[to] == UNSEEN {
                    calls.push((to, 0));
                } else if on_stack[to] {
                    low[node] = low[node].min(order[to]);
                }
                continue;
            }
            if low[node] == order[node] {
                let from = stack.iter().rposition(|other| *other == node).unwrap_or(0);
                let group: Vec<usize> = stack.split_off(from);
                group.iter().for_each(|member| on_stack[*member] = false);
                if group.len() > 1 || structure.after(node).any(|after| after == node) {
                    found.push(group);
                }
            }
            if let Some((parent, _)) = calls.last() {
                low[*parent] = low[*parent].min(low[node]);
            }
        }
    }
    found.iter_mut().for_each(|group| group.sort_unstable());
    found.sort_unstable();
    found
}

/// The shortest way from the first node of a group back to it: nodes, each with the edge that leaves it.
fn shortest(structure: &Structure<'_>, group: &[usize]) -> Vec<(usize, usize)> {
    let Some(start) = group.first().copied() else { return Vec::new() };
    let within: std::collections::HashSet<usize> = group.iter().copied().collect();
    let mut came: HashMap<usize, (usize, usize)> = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for edge in structure.outgoing(node) {
            let Some((_, to)) = structure.ends[*edge] else { continue };
            if to == start {
                let mut way = vec![(node, *edge)];
                let mut at = node;
                while at != start {
                    let Some(step) = came.get(&at) else { break };
                    way.push(*step);
                    at = step.0;
                }
                way.reverse();
                return way;
            }
            if within.contains(&to) && !came.contains_key(&to) {
                came.insert(to, (node, *edge));
                queue.push_back(to);
            }
        }
    }
    Vec::new()
}

/// Fallbacks that stand in for each other.
fn check_stand_ins(reader: &mut Reader<'_>, subject: &Subject<'_>) {
    let next = |node: usize| {
        let stand_in = subject.melody.nodes[node].stand_in()?;
        subject.structure.by_id.get(stand_in).copied()
    };
    let mut seen = vec![false; subject.structure.len()];
    for start in 0..subject.structure.len() {
        let (mut way, mut at) = (Vec::new(), start);
        while !seen[at] {
            seen[at] = true;
            way.push(at);
            let Some(after) = next(at) else { break };
            at = after;
            if let Some(from) = way.iter().position(|node| *node == at) {
                let id = |node: &usize| subject.melody.nodes[*node].id.clone();
                let ids: Vec<String> = way[from..].iter().chain([&at]).map(id).collect();
                let place = subject.places.nodes[at].id.clone();
                let message = format!("these nodes stand in for each other: {}", shown(&ids));
                let finding = reader.error(Code::CycleDetected, place, message);
                finding.node(&ids[0]).path(ids.clone());
            }
        }
    }
}
