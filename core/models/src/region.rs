//! A file's bytes in memory of their own.

use crate::error::{ModelError, Result};
use memmap2::{Mmap, MmapMut};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Largest model file accepted, in bytes.
const MAX_FILE: u64 = 4 << 30;

/// A whole file, read into an anonymous mapping. Not the heap, so that all of it goes back to the
/// operating system when it is dropped; not a mapping of the file, so that truncating the file can
/// neither kill this process (SIGBUS) nor change what was checked.
#[derive(Debug)]
pub(crate) struct Region(Mmap);

impl Region {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let doing = || ModelError::io(format!("reading {}", path.display()));
        let mut file = File::open(path).map_err(doing())?;
        let length = file.metadata().map_err(doing())?.len();
        if length == 0 {
            return Err(ModelError::gguf("the file is empty"));
        }
        if length > MAX_FILE {
            return Err(ModelError::gguf(format!("{length} bytes, at most {MAX_FILE} are accepted")));
        }
        let length = usize::try_from(length).map_err(|_| ModelError::gguf("too large for this machine"))?;
        let mut map = MmapMut::map_anon(length).map_err(ModelError::io("reserving memory for the model"))?;
        file.read_exact(&mut map).map_err(doing())?;
        Ok(Self(map.make_read_only().map_err(ModelError::io("protecting the model's memory"))?))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}
