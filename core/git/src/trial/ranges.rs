//! Which lines of each side's own file a merge could not join.

use git2::{DiffOptions, MergeFileInput, MergeFileOptions, Patch};

use super::Lines;

/// Longest file that lines are looked for in, in bytes.
const LONGEST: usize = 8 * 1024 * 1024;
const SMALLEST_MARKER: usize = 7;

/// Lines of ours, and of theirs.
type BothSides = (Vec<Lines>, Vec<Lines>);

/// Conflicting lines of both sides; `None` for content that is not text. A merge without a base is one of two new
/// files.
pub(super) fn conflicting(base: &[u8], ours: &[u8], theirs: &[u8]) -> Result<Option<BothSides>, git2::Error> {
    if [base, ours, theirs].into_iter().any(is_binary) {
        return Ok(None);
    }
    if [base, ours, theirs].into_iter().any(|content| content.len() > LONGEST) {
        return Ok(Some((Vec::new(), Vec::new())));
    }
    let marker = marker_size(&[base, ours, theirs]);
    let mut options = MergeFileOptions::new();
    options.marker_size(marker).style_standard(true).our_label("o").their_label("t");
    let [base_input, our_input, their_input] = [base, ours, theirs].map(input);
    // Also begins the library, which the merge takes for granted.
    let _ = hunks(base, ours)?;
    let merged = git2::merge_file(&base_input, &our_input, &their_input, Some(&mut options))?;
    let sides = Sides::read(merged.content(), usize::from(marker));
    Ok(Some((sides.ours.lines_in(ours)?, sides.theirs.lines_in(theirs)?)))
}

/// Lines of a side that differ from what it started from.
pub(super) fn changed(base: &[u8], side: &[u8]) -> Result<Vec<Lines>, git2::Error> {
    if is_binary(base) || is_binary(side) || base.len().max(side.len()) > LONGEST {
        return Ok(Vec::new());
    }
    let last = count_lines(side);
    let found = hunks(base, side)?;
    Ok(found.iter().map(|hunk| lines(hunk.new, hunk.new + hunk.new_len, last)).collect())
}

/// As git decides it: a NUL among the first 8,000 bytes.
pub(super) fn is_binary(content: &[u8]) -> bool {
    content[..content.len().min(8_000)].contains(&0)
}

fn input(content: &[u8]) -> MergeFileInput<'_> {
    let mut input = MergeFileInput::new();
    input.content(content).path("file");
    input
}

/// Longer than any run of marker characters that begins a line, so that no content is taken for a marker.
fn marker_size(contents: &[&[u8]]) -> u16 {
    let run = |line: &[u8]| match line.first() {
        Some(first @ (b'<' | b'=' | b'>' | b'|')) => line.iter().take_while(|byte| *byte == first).count(),
        _ => 0,
    };
    let lines = contents.iter().flat_map(|content| content.split(|byte| *byte == b'\n'));
    let longest = lines.map(run).max().unwrap_or_default();
    u16::try_from((longest + 1).max(SMALLEST_MARKER)).unwrap_or(u16::MAX)
}

/// The merge with every conflict resolved for one side, and where the conflicts are in it.
#[derive(Default)]
struct Side {
    text: Vec<u8>,
    lines: usize,
    /// First line and line behind the last, from 0.
    conflicts: Vec<(usize, usize)>,
}

impl Side {
    fn push(&mut self, line: &[u8]) {
        self.text.extend_from_slice(line);
        self.lines += 1;
    }

    /// The conflicts in the side's own file, which lacks what was merged cleanly from the other.
    fn lines_in(&self, file: &[u8]) -> Result<Vec<Lines>, git2::Error> {
        let (hunks, last) = (hunks(&self.text, file)?, count_lines(file));
        let place = |&(from, to): &(usize, usize)| lines(moved(&hunks, from), moved(&hunks, to), last);
        Ok(self.conflicts.iter().map(place).collect())
    }
}

#[derive(Default)]
struct Sides {
    ours: Side,
    theirs: Side,
}

#[derive(Clone, Copy, PartialEq)]
enum Within {
    Both,
    Ours,
    Theirs,
}

impl Sides {
    fn read(merged: &[u8], marker: usize) -> Self {
        let is_marker = |line: &[u8], byte: u8| {
            line.len() > marker && line[..marker].iter().all(|b| *b == byte) && line[marker] != byte
                || line.len() == marker && line.iter().all(|b| *b == byte)
        };
        let mut sides = Self::default();
        let mut within = Within::Both;
        let mut began = (0, 0);
        for line in merged.split_inclusive(|byte| *byte == b'\n') {
            match within {
                Within::Both if is_marker(line, b'<') => {
                    began = (sides.ours.lines, sides.theirs.lines);
                    within = Within::Ours;
                }
                Within::Ours if is_marker(line, b'=') => within = Within::Theirs,
                Within::Theirs if is_marker(line, b'>') => {
                    sides.ours.conflicts.push((began.0, sides.ours.lines));
                    sides.theirs.conflicts.push((began.1, sides.theirs.lines));
                    within = Within::Both;
                }
                Within::Both => {
                    sides.ours.push(line);
                    sides.theirs.push(line);
                }
                Within::Ours => sides.ours.push(line),
                Within::Theirs => sides.theirs.push(line),
            }
        }
        sides
    }
}

/// Lines that differ, from 0.
#[derive(Debug, Clone, Copy)]
struct Hunk {
    old: usize,
    old_len: usize,
    new: usize,
    new_len: usize,
}

fn hunks(old: &[u8], new: &[u8]) -> Result<Vec<Hunk>, git2::Error> {
    let mut options = DiffOptions::new();
    options.context_lines(0).interhunk_lines(0).force_text(true);
    let patch = Patch::from_buffers(old, None, new, None, Some(&mut options))?;
    let mut found = Vec::with_capacity(patch.num_hunks());
    for index in 0..patch.num_hunks() {
        let (hunk, _) = patch.hunk(index)?;
        // Without lines, the number is that of the line before.
        let start =
            |first: u32, len: u32| if len == 0 { first as usize } else { first.saturating_sub(1) as usize };
        found.push(Hunk {
            old: start(hunk.old_start(), hunk.old_lines()),
            old_len: hunk.old_lines() as usize,
            new: start(hunk.new_start(), hunk.new_lines()),
            new_len: hunk.new_lines() as usize,
        });
    }
    Ok(found)
}

/// Where a line of the old text is in the new one.
fn moved(hunks: &[Hunk], line: usize) -> usize {
    let mut at = line;
    for hunk in hunks {
        if line < hunk.old || (line == hunk.old && hunk.old_len == 0) {
            break;
        }
        if line < hunk.old + hunk.old_len {
            return hunk.new + (line - hunk.old).min(hunk.new_len);
        }
        at = hunk.new + hunk.new_len + (line - hunk.old - hunk.old_len);
    }
    at
}

fn count_lines(content: &[u8]) -> usize {
    content.split_inclusive(|byte| *byte == b'\n').count()
}

/// From lines counted from 0 with an open end, in a file of `last` lines.
fn lines(from: usize, to: usize, last: usize) -> Lines {
    let number = |line: usize| u32::try_from(line.clamp(1, last.max(1))).unwrap_or(u32::MAX);
    Lines { from: number(from + 1), to: number(to.max(from + 1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Spans = Vec<(u32, u32)>;

    fn of(base: &str, ours: &str, theirs: &str) -> (Spans, Spans) {
        let (ours, theirs) =
            conflicting(base.as_bytes(), ours.as_bytes(), theirs.as_bytes()).unwrap().unwrap();
        let plain = |lines: Vec<Lines>| lines.into_iter().map(|l| (l.from, l.to)).collect();
        (plain(ours), plain(theirs))
    }

    #[test]
    fn lines_are_those_of_each_side_s_own_file() {
        let base = "a\nb\nc\nd\ne\nf\ng\nh\n";
        let ours = "new\nnew\na\nb\nc\nd\ne\nOURS\ng\nh\n";
        let theirs = "a\nb\nd\ne\nTHEIRS\nMORE\ng\nh\n";
        assert_eq!(of(base, ours, theirs), (vec![(8, 8)], vec![(5, 6)]));
    }

    #[test]
    fn what_merges_has_no_lines() {
        assert_eq!(of("a\nb\nc\n", "A\nb\nc\n", "a\nb\nC\n"), (vec![], vec![]));
    }

    #[test]
    fn neighbouring_lines_conflict() {
        assert_eq!(of("a\nb\n", "A\nb\n", "a\nB\n"), (vec![(1, 2)], vec![(1, 2)]));
    }

    #[test]
    fn a_deletion_is_shown_where_the_lines_were() {
        assert_eq!(of("a\nb\nc\n", "a\nc\n", "a\nB\nc\n"), (vec![(2, 2)], vec![(2, 2)]));
        assert_eq!(of("a\nb\n", "", "a\nB\n"), (vec![(1, 1)], vec![(1, 2)]));
    }

    #[test]
    fn content_that_looks_like_markers_is_content() {
        let base = "<<<<<<< o\na\n=======\nb\n>>>>>>> t\n";
        let (ours, theirs) = (base.replace('a', "x"), base.replace('a', "y"));
        assert_eq!(of(base, &ours, &theirs), (vec![(2, 2)], vec![(2, 2)]));
    }

    #[test]
    fn two_new_files_differ_where_they_differ() {
        assert_eq!(of("", "same\nx\n", "same\ny\n"), (vec![(2, 2)], vec![(2, 2)]));
    }

    #[test]
    fn lines_without_an_end_and_with_carriage_returns_count() {
        assert_eq!(of("a\r\nb", "a\r\nB", "a\r\nx"), (vec![(2, 2)], vec![(2, 2)]));
    }

    #[test]
    fn changed_lines_of_one_side() {
        let found = changed(b"a\nb\nc\n", b"a\nB\nC\n").unwrap();
        assert_eq!(found, vec![Lines { from: 2, to: 3 }]);
    }
}
