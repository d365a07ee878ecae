//! Repositories never forget: a large file is paid for by every clone.

use super::finding::Finding;
use super::tree::Tree;

const RULE: &str = "size";
const LIMIT: u64 = 1 << 20;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let large = tree.files().iter().filter(|file| file.bytes > LIMIT);
    large
        .map(|file| {
            let message = format!("{} bytes, more than 1 MiB", file.bytes);
            let help = "fetch or generate it where it is needed, or ignore it";
            Finding::error(RULE, (&file.path, 1), message, help)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::finding::places;
    use super::*;

    #[test]
    fn a_mebibyte_is_the_most() {
        let exact = "x".repeat(1 << 20);
        let tree = Tree::of(&[("a.json", &exact), ("b.json", &format!("{exact}x"))]);
        assert_eq!(places(&check(&tree)), ["b.json:1"]);
    }
}
