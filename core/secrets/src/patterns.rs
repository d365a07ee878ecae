//! The shapes of secrets, decided at one position of a text of which more may follow.

use serde::{Deserialize, Serialize};

/// Shortest value of an assignment that is taken for a secret.
const SHORTEST_VALUE: usize = 6;
/// Characters of a bare value that are looked at to tell it from code.
const WORD_WINDOW: usize = 64;
const LONGEST_URL_PART: usize = 256;
const LONGEST_JWT_PART: usize = 8 * 1024;
/// A private key block that does not end is swallowed to this many characters.
const LONGEST_PEM: u32 = 64 * 1024;
const LONGEST_PEM_LABEL: usize = 48;
const PEM_END: &[u8] = b"-----END ";

/// What stands at a position.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    No,
    /// Can only be told when more of the text is there.
    NeedMore,
    Secret(Found),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) name: String,
    /// Bytes at the start that are shown.
    pub(crate) shown: usize,
    /// Bytes that are decided, shown ones included.
    pub(crate) length: usize,
    /// What of the text after `length` belongs to the secret too.
    pub(crate) rest: Option<Swallow>,
}

/// A secret that was announced and still goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Swallow {
    Run(Class),
    /// To this character, which is shown, or the end of the line.
    Until(char),
    /// To white space.
    Word,
    /// The body of a private key block: characters left, and how much of the end mark was seen.
    Pem {
        left: u32,
        seen: usize,
    },
    /// The label in the end mark.
    PemLabel,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Class {
    Alphanumeric,
    /// Alphanumeric and `_`.
    Identifier,
    /// Alphanumeric, `_` and `-`.
    Base64Url,
    /// Of a bearer token.
    Bearer,
    Dash,
}

impl Class {
    fn has(self, c: char) -> bool {
        match self {
            Self::Alphanumeric => c.is_ascii_alphanumeric(),
            Self::Identifier => c.is_ascii_alphanumeric() || c == '_',
            Self::Base64Url => c.is_ascii_alphanumeric() || matches!(c, '_' | '-'),
            Self::Bearer => c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '~' | '+' | '/' | '='),
            Self::Dash => c == '-',
        }
    }
}

impl Swallow {
    /// Bytes of `text` that belong to the secret. The rest of `text` is shown if any is left and `self` is over (`None`).
    pub(crate) fn consume(self, text: &str) -> (usize, Option<Self>) {
        let mut state = self;
        for (at, c) in text.char_indices() {
            state = match state {
                Self::Run(class) if class.has(c) => Self::Run(class),
                Self::Until(end) if c != end && c != '\n' => Self::Until(end),
                Self::Word if !c.is_whitespace() => Self::Word,
                Self::Pem { left: 0, .. } => return (at, None),
                Self::Pem { left, seen } => match pem_progress(seen, c) {
                    seen if seen == PEM_END.len() => Self::PemLabel,
                    seen => Self::Pem { left: left - 1, seen },
                },
                Self::PemLabel if c == '-' => Self::Run(Class::Dash),
                Self::PemLabel if c.is_ascii_uppercase() || c.is_ascii_digit() || c == ' ' => Self::PemLabel,
                _ => return (at, None),
            };
        }
        (text.len(), Some(state))
    }
}

/// How much of the end mark is seen after `c`. A sixth dash still leaves five.
fn pem_progress(seen: usize, c: char) -> usize {
    const DASHES: usize = 5;
    match c {
        c if PEM_END.get(seen) == Some(&(c as u32).try_into().unwrap_or(0)) => seen + 1,
        '-' if seen == DASHES => DASHES,
        '-' => 1,
        _ => 0,
    }
}

/// A token that is told by how it starts.
struct Token {
    name: &'static str,
    prefixes: &'static [&'static str],
    class: Class,
    /// Characters after the prefix that must be there.
    shortest: usize,
    /// Whether these must hold a digit or capital, for prefixes that words have too.
    mixed: bool,
}

const fn token(
    name: &'static str,
    prefixes: &'static [&'static str],
    class: Class,
    shortest: usize,
) -> Token {
    Token { name, prefixes, class, shortest, mixed: false }
}

/// In the order in which they are tried.
const TOKENS: &[Token] = &[
    token("anthropic-key", &["sk-ant-"], Class::Base64Url, 16),
    token("stripe-key", &["sk_live_", "sk_test_", "rk_live_", "rk_test_"], Class::Alphanumeric, 16),
    Token { mixed: true, ..token("openai-key", &["sk-"], Class::Base64Url, 20) },
    token("github-token", &["github_pat_"], Class::Identifier, 30),
    token("github-token", &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"], Class::Alphanumeric, 30),
    token("gitlab-token", &["glpat-"], Class::Base64Url, 20),
    token("aws-key-id", &["AKIA", "ASIA"], Class::Alphanumeric, 16),
    token(
        "slack-token",
        &["xoxa-", "xoxb-", "xoxe-", "xoxp-", "xoxr-", "xoxs-", "xapp-"],
        Class::Base64Url,
        10,
    ),
    token("google-key", &["AIza"], Class::Base64Url, 35),
    token("npm-token", &["npm_"], Class::Alphanumeric, 36),
    token("pypi-token", &["pypi-"], Class::Base64Url, 50),
    token("hugging-face-token", &["hf_"], Class::Alphanumeric, 30),
];

const BEARER: &str = "Bearer ";
const JWT: &str = "eyJ";
const PEM: &str = "-----BEGIN ";
const URL: &str = "://";
const ASSIGN: &str = "=";

/// Every text that a secret shape may start with, or an assignment's `=`.
pub(crate) fn triggers() -> impl Iterator<Item = &'static str> {
    let prefixes = TOKENS.iter().flat_map(|token| token.prefixes.iter().copied());
    prefixes.chain([BEARER, JWT, PEM, URL, ASSIGN])
}

/// A position in a text.
pub(crate) struct Place<'a> {
    /// The text from here on.
    pub(crate) rest: &'a str,
    /// Whether nothing follows `rest`.
    pub(crate) whole: bool,
    /// The character before.
    pub(crate) previous: Option<char>,
    /// What stands before on the same line, where that may be a variable's name.
    pub(crate) line: Option<&'a str>,
}

impl Place<'_> {
    pub(crate) fn judge(&self) -> Verdict {
        if self.rest.starts_with(ASSIGN) {
            return self.assignment();
        }
        let in_word = self.previous.is_some_and(|c| c.is_alphanumeric() || c == '_');
        // Lazily: a verdict costs nothing where an earlier one stands.
        let anywhere: [fn(&Self) -> Verdict; 2] = [Self::url, Self::pem];
        let at_word_start: [fn(&Self) -> Verdict; 3] = [Self::tokens, Self::bearer, Self::jwt];
        let shapes = anywhere.into_iter().chain(at_word_start.into_iter().filter(|_| !in_word));
        shapes.map(|shape| shape(self)).find(|verdict| *verdict != Verdict::No).unwrap_or(Verdict::No)
    }

    /// What to say where the text ends too early.
    fn undecided(&self) -> Verdict {
        if self.whole { Verdict::No } else { Verdict::NeedMore }
    }

    /// The text after `literal`; `Err` where that can not be said yet, or is not so.
    fn after(&self, literal: &str) -> Result<&str, Verdict> {
        match self.rest.strip_prefix(literal) {
            Some(after) => Ok(after),
            None if literal.starts_with(self.rest) => Err(self.undecided()),
            None => Err(Verdict::No),
        }
    }

    fn tokens(&self) -> Verdict {
        let all = TOKENS.iter().flat_map(|token| token.prefixes.iter().map(move |prefix| (token, prefix)));
        for (token, prefix) in all {
            let verdict = match self.after(prefix) {
                Ok(after) => self.token(token, prefix.len(), after),
                Err(verdict) => verdict,
            };
            if verdict != Verdict::No {
                return verdict;
            }
        }
        Verdict::No
    }

    fn token(&self, token: &Token, prefix: usize, after: &str) -> Verdict {
        let run =
            after.bytes().take(token.shortest).take_while(|byte| token.class.has(char::from(*byte))).count();
        if run < token.shortest {
            return if run == after.len() { self.undecided() } else { Verdict::No };
        }
        let mixed = after.bytes().take(run).any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
        if token.mixed && !mixed {
            return Verdict::No;
        }
        secret(token.name, 0, prefix + run, Swallow::Run(token.class))
    }

    fn bearer(&self) -> Verdict {
        let spec = Token { mixed: true, ..token("bearer-token", &[BEARER], Class::Bearer, 20) };
        match self.after(BEARER) {
            Ok(after) => match self.token(&spec, BEARER.len(), after) {
                Verdict::Secret(found) => Verdict::Secret(Found { shown: BEARER.len(), ..found }),
                other => other,
            },
            Err(verdict) => verdict,
        }
    }

    /// Three parts of base64, of which the first two are JSON objects.
    fn jwt(&self) -> Verdict {
        const SHORTEST_PART: usize = 8;
        if let Err(verdict) = self.after(JWT) {
            return verdict;
        }
        let mut at = 0;
        for _ in 0..2 {
            let part = &self.rest.as_bytes()[at..];
            let run = part.iter().take_while(|byte| Class::Base64Url.has(char::from(**byte))).count();
            if run > LONGEST_JWT_PART {
                return Verdict::No;
            }
            match part.get(run) {
                None => return self.undecided(),
                Some(b'.') if run >= SHORTEST_PART => at += run + 1,
                Some(_) => return Verdict::No,
            }
        }
        let last = self.rest.as_bytes()[at..].iter().take(SHORTEST_PART);
        let run = last.take_while(|byte| Class::Base64Url.has(char::from(**byte))).count();
        match run {
            SHORTEST_PART => secret("jwt", 0, at + run, Swallow::Run(Class::Base64Url)),
            _ if at + run == self.rest.len() => self.undecided(),
            _ => Verdict::No,
        }
    }

    fn pem(&self) -> Verdict {
        let after = match self.after(PEM) {
            Ok(after) => after,
            Err(verdict) => return verdict,
        };
        let label = after
            .bytes()
            .take_while(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b' ')
            .count();
        if label > LONGEST_PEM_LABEL {
            return Verdict::No;
        }
        let (label, end) = after.split_at(label);
        match end.strip_prefix("-----") {
            Some(_) if label.contains("PRIVATE KEY") => {
                let body = Swallow::Pem { left: LONGEST_PEM, seen: 0 };
                secret("private-key", 0, PEM.len() + label.len() + 5, body)
            }
            None if "-----".starts_with(end) => self.undecided(),
            _ => Verdict::No,
        }
    }

    /// The password in `scheme://user:password@host`.
    fn url(&self) -> Verdict {
        let after = match self.after(URL) {
            Ok(after) => after,
            Err(verdict) => return verdict,
        };
        let run = after.bytes().take(LONGEST_URL_PART).take_while(|byte| is_url_user(*byte)).count();
        match after.as_bytes().get(run) {
            None => self.undecided(),
            Some(b'@') => match after[..run].split_once(':') {
                Some((user, password)) if !password.is_empty() => {
                    let shown = URL.len() + user.len() + 1;
                    Verdict::Secret(Found {
                        name: "url-password".into(),
                        shown,
                        length: URL.len() + run,
                        rest: None,
                    })
                }
                _ => Verdict::No,
            },
            Some(_) => Verdict::No,
        }
    }

    /// `NAME=value` at the start of a line, as `.env` files have it. Code is left alone: it has spaces around `=`, or
    /// calls, references and types behind it.
    fn assignment(&self) -> Verdict {
        let Some(name) = self.line.and_then(assigned_name).filter(|name| is_secret_name(name)) else {
            return Verdict::No;
        };
        let value = &self.rest[ASSIGN.len()..];
        let Some(first) = value.chars().next() else { return self.undecided() };
        let (quote, content) = match first {
            '"' | '\'' => (1, &value[1..]),
            _ => (0, value),
        };
        let shown = ASSIGN.len() + quote;
        let window = if quote == 1 { SHORTEST_VALUE } else { WORD_WINDOW };
        let ends = |c: char| if quote == 1 { c == first || c == '\n' } else { c.is_whitespace() };
        let length = content.chars().take(window).take_while(|c| !ends(*c)).count();
        let ended = content.chars().nth(length).is_some();
        if length < window && !ended && !self.whole {
            return Verdict::NeedMore;
        }
        let refers = content.starts_with(['$', '<', '{']);
        let is_code = quote == 0 && content.chars().take(length).any(|c| "()<>{}$".contains(c));
        if length < SHORTEST_VALUE || refers || is_code {
            return Verdict::No;
        }
        let rest = if quote == 1 { Swallow::Until(first) } else { Swallow::Word };
        secret(name, shown, shown, rest)
    }
}

fn secret(name: &str, shown: usize, length: usize, rest: Swallow) -> Verdict {
    Verdict::Secret(Found { name: name.to_owned(), shown, length, rest: Some(rest) })
}

fn is_url_user(byte: u8) -> bool {
    !byte.is_ascii_whitespace()
        && !matches!(byte, b'/' | b'@' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b'`')
}

/// The password of an address, decided on the whole value.
pub(crate) fn url_password(value: &str) -> Option<&str> {
    let at = value.find(URL)?;
    let place = Place { rest: &value[at..], whole: true, previous: None, line: None };
    match place.url() {
        Verdict::Secret(found) => value.get(at + found.shown..at + found.length),
        _ => None,
    }
}

/// Longest line start that may be a name.
pub(crate) const LONGEST_NAME: usize = 96;

fn assigned_name(line: &str) -> Option<&str> {
    let name = line.trim_start();
    let name = name.strip_prefix("export ").unwrap_or(name).trim_start();
    let valid = !name.is_empty()
        && name.len() <= LONGEST_NAME
        && name.bytes().all(|byte| Class::Identifier.has(char::from(byte)));
    valid.then_some(name)
}

/// Whether a variable's name says that its value is a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    const WORDS: &[&str] = &["PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "CREDENTIAL"];
    const ENDINGS: &[&str] = &["KEY", "PASS", "PWD_HASH", "AUTH", "PAT", "DSN"];
    let name = name.to_ascii_uppercase();
    let last = name.rsplit('_').next().unwrap_or_default();
    // A public key, and the count or address of something secret, are none.
    if name.contains("PUBLIC")
        || ["URL", "URI", "LIMIT", "COUNT", "TOKENS", "EXPIRY", "TTL", "TYPE", "NAME", "PATH", "FILE", "DIR"]
            .contains(&last)
    {
        return false;
    }
    let key = ENDINGS.contains(&last) && name.contains('_') || name.ends_with("APIKEY");
    key || WORDS.iter().any(|word| name.contains(word))
}
