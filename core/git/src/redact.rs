//! Credentials in URLs must not reach an error message.

/// Replaces the user part of every `scheme://user:password@host` by `***`.
pub fn redact_urls(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let ends_authority = |c: char| c == '/' || c == '\'' || c == '"' || c == '?' || c.is_whitespace();
        let authority = &after[..after.find(ends_authority).unwrap_or(after.len())];
        match authority.rfind('@') {
            Some(user_end) => {
                out.push_str("***");
                rest = &after[user_end..];
            }
            None => rest = after,
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_go_and_the_host_stays() {
        let text = "fatal: unable to access 'https://ada:s3cret@example.org/x.git/': not found";
        assert_eq!(redact_urls(text), "fatal: unable to access 'https://***@example.org/x.git/': not found");
        assert_eq!(redact_urls("ssh://git@host/x and http://t@h"), "ssh://***@host/x and http://***@h");
        assert_eq!(redact_urls("https://host/a@b"), "https://host/a@b");
        assert_eq!(redact_urls("://"), "://");
    }
}
