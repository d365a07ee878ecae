//! Names for branches and worktrees.
//!
//! A name becomes a branch, a folder, an argument of git and a word in somebody's shell, so it must be harmless as
//! each of them. Spaces are turned into `-` and the result is in Unicode form C; both are reported through
//! [`ValidName::notes`], so that a caller can tell the user. Letters of any script are fine. Everything else that is
//! not fine is refused: a name is never bent further than that.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

/// Longest accepted name, in UTF-8 bytes: it must fit a file name together with a prefix and `.lock`.
pub const MAX_NAME_BYTES: usize = 200;

/// A name that is safe as a branch, as a folder and as an argument.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ValidName {
    name: String,
    notes: Vec<NameNote>,
}

/// A change made to the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameNote {
    /// Spaces at the ends were dropped, those inside became `-`.
    SpacesReplaced,
    /// Letters were composed (Unicode form C), so that equal-looking names are equal.
    Normalized,
}

impl ValidName {
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The name as one folder: `feat/user-auth` lives in `feat-user-auth`.
    pub fn folder(&self) -> String {
        self.name.replace('/', "-")
    }

    pub fn notes(&self) -> &[NameNote] {
        &self.notes
    }
}

impl fmt::Display for ValidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("the name is empty")]
    Empty,
    #[error("the name is {0} bytes long, more than {MAX_NAME_BYTES}")]
    TooLong(usize),
    #[error("the name is not valid UTF-8")]
    NotUtf8,
    #[error("a name must not start with `-`, git would take it for an option")]
    LeadingDash,
    #[error("a name must not contain `..`")]
    DotDot,
    #[error("no part of a name may start with `.`")]
    LeadingDot,
    #[error("no part of a name may end with `.`")]
    TrailingDot,
    #[error("no part of a name may end with `.lock`, git uses such names itself")]
    LockSuffix,
    #[error("a name must not start or end with `/` or contain `//`")]
    Slash,
    #[error("a name must not contain the character {0:?}")]
    ForbiddenChar(char),
    #[error("the name contains an invisible character (U+{0:04X})")]
    InvisibleChar(u32),
    #[error("a name must not contain `@{{`")]
    AtBrace,
    #[error("`{0}` is reserved")]
    Reserved(String),
}

impl NameError {
    /// One sentence on how to choose a name that works.
    pub fn hint(&self) -> String {
        match self {
            Self::TooLong(_) => "use a short name, such as `user-auth`".into(),
            Self::Reserved(name) => format!("use a longer name, such as `{}-work`", name.to_lowercase()),
            Self::NotUtf8 | Self::InvisibleChar(_) => "type the name by hand instead of pasting it".into(),
            _ => "use letters, digits, `-`, `_`, `.` and `/`, such as `user-auth`".into(),
        }
    }
}

/// [`validate_name`] for bytes of any origin.
pub fn validate_name_bytes(input: &[u8]) -> Result<ValidName, NameError> {
    validate_name(std::str::from_utf8(input).map_err(|_| NameError::NotUtf8)?)
}

/// Checks a name, after turning spaces into `-` and composing its letters.
///
/// # Errors
/// The first rule that the name breaks.
pub fn validate_name(input: &str) -> Result<ValidName, NameError> {
    // Checked first, so that hostile input costs no more than a short name.
    if input.len() > MAX_NAME_BYTES * 4 {
        return Err(NameError::TooLong(input.len()));
    }
    let mut notes = Vec::new();
    let spaced = input.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
    if spaced != input {
        notes.push(NameNote::SpacesReplaced);
    }
    let name: String = spaced.nfc().collect();
    if name != spaced {
        notes.push(NameNote::Normalized);
    }
    check(&name)?;
    Ok(ValidName { name, notes })
}

fn check(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(NameError::TooLong(name.len()));
    }
    name.chars().try_for_each(check_char)?;
    if name.starts_with('-') {
        return Err(NameError::LeadingDash);
    }
    if name.contains("..") {
        return Err(NameError::DotDot);
    }
    if name.contains("@{") {
        return Err(NameError::AtBrace);
    }
    if name.split('/').any(str::is_empty) {
        return Err(NameError::Slash);
    }
    name.split('/').try_for_each(check_part)?;
    let is_object_name = matches!(name.len(), 40 | 64) && name.bytes().all(|b| b.is_ascii_hexdigit());
    if name == "@" || is_object_name || is_pseudo_ref(name) || name.starts_with("refs/") {
        return Err(NameError::Reserved(name.to_owned()));
    }
    Ok(())
}

fn check_part(part: &str) -> Result<(), NameError> {
    if part.starts_with('-') {
        return Err(NameError::LeadingDash);
    }
    if part.starts_with('.') {
        return Err(NameError::LeadingDot);
    }
    if part.ends_with('.') {
        return Err(NameError::TrailingDot);
    }
    // File systems that ignore case would let `x.LOCK` stand for `x.lock`.
    if part.to_ascii_lowercase().ends_with(".lock") {
        return Err(NameError::LockSuffix);
    }
    let stem = part.split('.').next().unwrap_or(part).to_ascii_uppercase();
    if is_device(&stem) {
        return Err(NameError::Reserved(part.to_owned()));
    }
    Ok(())
}

fn check_char(c: char) -> Result<(), NameError> {
    match c {
        // Refused by git, by Windows, or read by a shell.
        '~' | '^' | ':' | '?' | '*' | '[' | '\\' | '<' | '>' | '|' | '"' | '\'' | '`' | '$' | ';' | '&' => {
            Err(NameError::ForbiddenChar(c))
        }
        c if c.is_control() || c.is_whitespace() => Err(NameError::ForbiddenChar(c)),
        c if is_invisible(c) => Err(NameError::InvisibleChar(u32::from(c))),
        _ => Ok(()),
    }
}

/// Characters that make two names look alike: joiners, direction marks, fillers, variation selectors, tags.
fn is_invisible(c: char) -> bool {
    matches!(u32::from(c),
        0x00AD | 0x034F | 0x061C | 0x115F | 0x1160 | 0x17B4 | 0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F
        | 0x202A..=0x202E | 0x2060..=0x206F | 0x2800 | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0
        | 0xFFF0..=0xFFFB | 0xFFFD | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A | 0xE0000..=0xE0FFF)
}

/// Names that Windows keeps for devices, whatever the extension.
fn is_device(stem: &str) -> bool {
    let numbered = |prefix: &str| {
        stem.strip_prefix(prefix)
            .is_some_and(|rest| rest.len() == 1 && rest.bytes().all(|b| b.is_ascii_digit()))
    };
    matches!(stem, "CON" | "PRN" | "AUX" | "NUL") || numbered("COM") || numbered("LPT")
}

/// `HEAD`, `FETCH_HEAD`, `AUTO_MERGE`...: git would take the branch for one of its own.
fn is_pseudo_ref(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    upper == "HEAD"
        || upper.ends_with("_HEAD")
        || matches!(upper.as_str(), "AUTO_MERGE" | "BISECT_EXPECTED_REV")
}
