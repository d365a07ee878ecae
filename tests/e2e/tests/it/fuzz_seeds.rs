//! The seeds of the fuzz targets, through the functions that those call: each ordinary run covers them.

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;

thread_local! {
    /// Panics of this thread, also those that a server caught and answered.
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

#[path = "../../../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "a crate of its own, whose functions the fuzz targets call")]
mod targets;

fn seeds(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = podium_harness::checkout().join("fuzz/seeds").join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let seeds: Vec<_> =
        files.map(|file| file.unwrap().path()).map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    assert!(seeds.len() >= 5, "{} has only {} seeds", folder.display(), seeds.len());
    seeds
}

#[test]
fn every_target_has_seeds_and_takes_them() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.set(PANICS.get() + 1);
        report(panic);
    }));
    for (name, target) in targets::ALL {
        for (path, bytes) in seeds(name) {
            // Cut anywhere, a seed is as good as another.
            for end in 0..=bytes.len().min(200) {
                target(&bytes[..end]);
            }
            let outcome = std::panic::catch_unwind(|| target(&bytes));
            assert!(outcome.is_ok() && PANICS.get() == 0, "{name} fails with {}", path.display());
        }
    }
    let folders = fs::read_dir(podium_harness::checkout().join("fuzz/seeds")).unwrap().count();
    assert_eq!(folders, targets::ALL.len(), "each folder of seeds has its target");
}
