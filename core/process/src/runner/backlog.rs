//! What an agent wrote and nobody acknowledged yet, on the disk.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

const PREFIX: &str = "out.";
const SEGMENT: u64 = 4 << 20;

/// A stream of bytes in files of some MiB each, named by the offset at which they begin. Files that are wholly
/// acknowledged are deleted.
#[derive(Debug)]
pub(super) struct Backlog {
    folder: PathBuf,
    /// Length by beginning.
    segments: BTreeMap<u64, u64>,
    newest: Option<(u64, File)>,
}

impl Backlog {
    /// What is in `folder`, which another process may have left.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let mut segments = BTreeMap::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let start = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse().ok());
            if let Some(start) = start {
                segments.insert(start, entry.metadata()?.len());
            }
        }
        Ok(Self { folder: folder.to_owned(), segments, newest: None })
    }

    /// Offset behind the last byte.
    pub(super) fn end(&self) -> u64 {
        self.segments.last_key_value().map_or(0, |(start, len)| start + len)
    }

    /// Offset of the oldest byte that is kept.
    pub(super) fn oldest(&self) -> u64 {
        self.segments.first_key_value().map_or(0, |(start, _)| *start)
    }

    /// Adds bytes at the end. After an error nothing is added: the next attempt writes to the same place.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let end = self.end();
        let full = self.newest.as_ref().is_none_or(|(start, _)| end - start >= SEGMENT);
        if full {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false).mode(0o600);
            let file = options.open(self.path(end))?;
            self.newest = Some((end, file));
            self.segments.insert(end, 0);
        }
        let Some((start, file)) = &self.newest else { return Ok(()) };
        file.write_all_at(bytes, end - start)?;
        self.segments.insert(*start, end - start + bytes.len() as u64);
        Ok(())
    }

    /// At most `most` bytes from `offset` on; fewer at the end of a file, none at the end of all.
    pub(super) fn read(&self, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        let Some((start, len)) = self.segments.range(..=offset).next_back() else { return Ok(Vec::new()) };
        let there = (start + len).saturating_sub(offset);
        let mut bytes = vec![0; usize::try_from(there).unwrap_or(most).min(most)];
        if !bytes.is_empty() {
            File::open(self.path(*start))?.read_exact_at(&mut bytes, offset - start)?;
        }
        Ok(bytes)
    }

    /// Forgets what lies before `offset`, in whole files. The last file stays: its name tells where the stream is.
    pub(super) fn release(&mut self, offset: u64) -> io::Result<()> {
        while self.segments.len() > 1
            && let Some((start, len)) = self.segments.first_key_value()
            && start + len <= offset
        {
            let start = *start;
            fs::remove_file(self.path(start))?;
            self.segments.remove(&start);
        }
        Ok(())
    }

    fn path(&self, start: u64) -> PathBuf {
        self.folder.join(format!("{PREFIX}{start:020}"))
    }
}

/// Deletes what an earlier run left.
pub(super) fn clear(folder: &Path) -> io::Result<()> {
    let backlog = Backlog::open(folder)?;
    backlog.segments.keys().try_for_each(|start| fs::remove_file(backlog.path(*start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(backlog: &Backlog, from: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let piece = backlog.read(from + bytes.len() as u64, 1 << 20).unwrap();
            if piece.is_empty() {
                return bytes;
            }
            bytes.extend(piece);
        }
    }

    #[test]
    fn bytes_come_back_from_any_offset_also_to_another_process() {
        let folder = tempfile::tempdir().unwrap();
        let mut backlog = Backlog::open(folder.path()).unwrap();
        let mut expected = Vec::new();
        for round in 0..90u32 {
            let piece: Vec<u8> = (0..100_003u32).map(|i| (i ^ round) as u8).collect();
            backlog.append(&piece).unwrap();
            expected.extend(piece);
        }
        assert_eq!(backlog.end(), expected.len() as u64);
        let other = Backlog::open(folder.path()).unwrap();
        for from in [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 77, expected.len() as u64] {
            assert!(all(&backlog, from) == expected[from as usize..], "from {from}");
            assert!(all(&other, from) == expected[from as usize..], "from {from}");
        }
    }

    #[test]
    fn what_is_acknowledged_leaves_the_disk_and_the_end_is_still_known() {
        let folder = tempfile::tempdir().unwrap();
        let mut backlog = Backlog::open(folder.path()).unwrap();
        for _ in 0..20 {
            backlog.append(&[7; 1 << 20]).unwrap();
        }
        backlog.release(backlog.end()).unwrap();
        let kept: u64 =
            fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
        assert!(kept <= SEGMENT + (1 << 20), "{kept} bytes are kept");
        assert_eq!(Backlog::open(folder.path()).unwrap().end(), 20 << 20);
        assert!(backlog.oldest() > 0);
        clear(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
