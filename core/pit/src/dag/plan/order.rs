//! In which order nodes can run, and which are urgent.

/// The edges of a graph in compressed rows: those of node `n` are `targets[starts[n]..starts[n + 1]]`.
pub(super) struct Rows<'a> {
    pub(super) starts: &'a [u32],
    pub(super) targets: &'a [u32],
}

impl Rows<'_> {
    fn of(&self, node: u32) -> &[u32] {
        &self.targets[self.starts[node as usize] as usize..self.starts[node as usize + 1] as usize]
    }
}

/// All nodes, each after those that lead to it (Kahn, 1962); or the nodes of a cycle, the first again at the
/// end.
pub(super) fn topological(rows: &Rows<'_>, in_degrees: &[u32]) -> Result<Vec<u32>, Vec<u32>> {
    let mut waiting = in_degrees.to_vec();
    let free = (0..).zip(in_degrees).filter(|(_, degree)| **degree == 0);
    let mut order: Vec<u32> = free.map(|(node, _)| node).collect();
    let mut at = 0;
    while let Some(&node) = order.get(at) {
        at += 1;
        for &target in rows.of(node) {
            let left = &mut waiting[target as usize];
            *left -= 1;
            if *left == 0 {
                order.push(target);
            }
        }
    }
    if order.len() == in_degrees.len() { Ok(order) } else { Err(cycle(rows, &waiting)) }
}

/// Follows nodes that still wait. Each of them has one before it that waits too, so walking backwards ends in
/// a cycle.
fn cycle(rows: &Rows<'_>, waiting: &[u32]) -> Vec<u32> {
    let mut before = vec![u32::MAX; waiting.len()];
    for (node, _) in (0..).zip(waiting).filter(|(_, left)| **left > 0) {
        for &target in rows.of(node) {
            before[target as usize] = node;
        }
    }
    let Some(mut node) = (0..).zip(waiting).find(|(_, left)| **left > 0).map(|(node, _)| node) else {
        return Vec::new();
    };
    let mut seen = vec![false; waiting.len()];
    while !std::mem::replace(&mut seen[node as usize], true) {
        node = before[node as usize];
    }
    let mut path = vec![node];
    let mut at = before[node as usize];
    while at != node {
        path.push(at);
        at = before[at as usize];
    }
    path.push(node);
    path.reverse();
    path
}

/// Upward rank of each node, all nodes weighing one: the length of the longest way from it to an end (the
/// priority of HEFT, Topcuoglu et al., 2002).
pub(super) fn ranks(rows: &Rows<'_>, order: &[u32]) -> Vec<u32> {
    let mut ranks = vec![1; order.len()];
    for &node in order.iter().rev() {
        let below = rows.of(node).iter().map(|&target| ranks[target as usize]).max();
        ranks[node as usize] = below.unwrap_or(0) + 1;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(edges: &[(u32, u32)], nodes: u32) -> (Vec<u32>, Vec<u32>, Vec<u32>) {
        let mut starts = vec![0];
        let mut targets = Vec::new();
        let mut degrees = vec![0; nodes as usize];
        for node in 0..nodes {
            targets.extend(edges.iter().filter(|(from, _)| *from == node).map(|(_, to)| *to));
            starts.push(u32::try_from(targets.len()).unwrap());
        }
        targets.iter().for_each(|&target: &u32| degrees[target as usize] += 1);
        (starts, targets, degrees)
    }

    #[test]
    fn the_longest_way_to_an_end_ranks_highest() {
        let (starts, targets, degrees) = rows(&[(0, 1), (1, 2), (0, 3), (3, 2), (1, 3)], 5);
        let rows = Rows { starts: &starts, targets: &targets };
        let order = topological(&rows, &degrees).unwrap();
        assert_eq!(ranks(&rows, &order), [4, 3, 1, 2, 1]);
    }

    #[test]
    fn a_cycle_is_told_node_by_node() {
        let (starts, targets, degrees) = rows(&[(0, 1), (1, 2), (2, 3), (3, 1), (3, 4)], 5);
        let path = topological(&Rows { starts: &starts, targets: &targets }, &degrees).unwrap_err();
        assert_eq!(path.len(), 4);
        assert_eq!(path.first(), path.last());
        for pair in path.windows(2) {
            assert!(!targets[starts[pair[0] as usize] as usize..].is_empty());
            let own = &targets[starts[pair[0] as usize] as usize..starts[pair[0] as usize + 1] as usize];
            assert!(own.contains(&pair[1]), "{path:?}");
        }
        let (starts, targets, degrees) = rows(&[(0, 0)], 1);
        assert_eq!(topological(&Rows { starts: &starts, targets: &targets }, &degrees), Err(vec![0, 0]));
    }
}
