//! Trees made from a tree and a few changed paths, in memory.

use std::collections::BTreeMap;
use std::path::Path;

use git2::{ObjectType, Odb, Oid as RawOid, Repository, RepositoryInitOptions};

use crate::error::GitError;

/// An object that no repository has.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) kind: ObjectType,
    pub(super) bytes: Vec<u8>,
}

pub(super) type RawLeaf = (u32, RawOid);

const FOLDER: u32 = 0o040_000;

/// Changes of a folder, by name.
#[derive(Debug, Default)]
pub(super) struct Folder(BTreeMap<Vec<u8>, Node>);

#[derive(Debug, Default)]
struct Node {
    /// `Some(None)`: nothing is to be here.
    here: Option<Option<RawLeaf>>,
    below: Folder,
}

impl Folder {
    /// What is to be at a path; `None` for nothing.
    pub(super) fn set(&mut self, path: &[u8], leaf: Option<RawLeaf>) {
        let mut names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).peekable();
        let mut folder = self;
        while let Some(name) = names.next() {
            let node = folder.0.entry(name.to_vec()).or_default();
            if names.peek().is_none() {
                node.here = Some(leaf);
                return;
            }
            folder = &mut node.below;
        }
    }

    /// The tree with these changes. Objects that are new are written to the repository's database, and added to
    /// `made`. `None` for a tree without entries.
    pub(super) fn write(
        &self,
        repo: &Repository,
        base: Option<RawOid>,
        made: &mut Vec<Object>,
    ) -> Result<Option<RawOid>, git2::Error> {
        let mut entries = read(repo, base)?;
        for (name, node) in &self.0 {
            let old = entries.get(name).copied();
            let kept = match node.here {
                Some(leaf) => leaf,
                None => old,
            };
            let subtree = old.filter(|(mode, _)| *mode == FOLDER).map(|(_, id)| id);
            let below = match node.below.0.is_empty() {
                true => None,
                false => node.below.write(repo, subtree, made)?.map(|id| (FOLDER, id)),
            };
            // A folder that lost its last file is no longer there; a file may have taken its place, or the reverse.
            let file = kept.filter(|(mode, _)| *mode != FOLDER || node.below.0.is_empty());
            match below.or(file) {
                Some(leaf) => entries.insert(name.clone(), leaf),
                None => entries.remove(name),
            };
        }
        if entries.is_empty() {
            return Ok(None);
        }
        let bytes = encode(&entries);
        let id = RawOid::hash_object(ObjectType::Tree, &bytes)?;
        if Some(id) != base {
            keep(&repo.odb()?, ObjectType::Tree, &bytes)?;
            made.push(Object { kind: ObjectType::Tree, bytes });
        }
        Ok(Some(id))
    }
}

/// The tree without entries, which is in no database but known to all.
pub(super) fn empty(repo: &Repository, made: &mut Vec<Object>) -> Result<RawOid, git2::Error> {
    made.push(Object { kind: ObjectType::Tree, bytes: Vec::new() });
    keep(&repo.odb()?, ObjectType::Tree, &[])
}

/// Writes what is nowhere yet: git renews the time of a file that holds the same object, and no file is to change.
pub(super) fn keep(database: &Odb<'_>, kind: ObjectType, bytes: &[u8]) -> Result<RawOid, git2::Error> {
    let id = RawOid::hash_object(kind, bytes)?;
    if !database.exists(id) {
        database.write(kind, bytes)?;
    }
    Ok(id)
}

/// Writes objects into the folder `objects` of a scratch place, for a git process to read.
pub(super) fn spill(objects: &[Object], place: &Path) -> Result<(), GitError> {
    let write = || {
        let mut options = RepositoryInitOptions::new();
        options.bare(true).mkdir(false).external_template(false);
        let repo = Repository::init_opts(place, &options)?;
        let database = repo.odb()?;
        objects.iter().try_for_each(|object| keep(&database, object.kind, &object.bytes).map(drop))
    };
    write().map_err(|source| GitError::Libgit2 { path: place.to_owned(), source })
}

fn read(repo: &Repository, tree: Option<RawOid>) -> Result<BTreeMap<Vec<u8>, RawLeaf>, git2::Error> {
    let Some(id) = tree else { return Ok(BTreeMap::new()) };
    let tree = repo.find_tree(id)?;
    let entry = |entry: git2::TreeEntry<'_>| {
        let mode = u32::try_from(entry.filemode_raw()).unwrap_or_default();
        (entry.name_bytes().to_vec(), (mode, entry.id()))
    };
    Ok(tree.iter().map(entry).collect())
}

/// In the order that git wants: a folder sorts as if its name ended in a slash.
fn encode(entries: &BTreeMap<Vec<u8>, RawLeaf>) -> Vec<u8> {
    let mut sorted: Vec<_> = entries.iter().collect();
    sorted.sort_by_cached_key(|(name, (mode, _))| {
        let mut key = (*name).clone();
        if *mode == FOLDER {
            key.push(b'/');
        }
        key
    });
    let mut bytes = Vec::new();
    for (name, (mode, id)) in sorted {
        bytes.extend_from_slice(format!("{mode:o} ").as_bytes());
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend_from_slice(id.as_bytes());
    }
    bytes
}
