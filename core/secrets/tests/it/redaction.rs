use std::{collections::BTreeMap, fs};

use podium_secrets::{KnownSecrets, Redactor};

/// Built here, so that no scanner takes this file for a leak.
fn run(length: usize) -> String {
    "aB3dE5gH7jK9".chars().cycle().take(length).collect()
}

#[test]
fn shapes_of_keys_are_replaced_by_their_kind() {
    let redactor = Redactor::default();
    let jwt = format!("eyJ{}.eyJ{}.{}", run(20), run(30), run(40));
    let cases = [
        (format!("sk-ant-api03-{}", run(80)), "anthropic-key"),
        (format!("sk-proj-{}", run(40)), "openai-key"),
        (format!("ghp_{}", run(36)), "github-token"),
        (format!("github_pat_{}", run(60)), "github-token"),
        (format!("glpat-{}", run(20)), "gitlab-token"),
        ("AKIAIOSFODNN7EXAMPLE".to_owned(), "aws-key-id"),
        (format!("xoxb-{}", run(30)), "slack-token"),
        (format!("AIza{}", run(35)), "google-key"),
        (format!("npm_{}", run(36)), "npm-token"),
        (format!("hf_{}", run(34)), "hugging-face-token"),
        (jwt, "jwt"),
    ];
    for (secret, name) in cases {
        for (before, after) in
            [("", ""), ("key: ", " and more"), ("\"", "\","), ("(", ")"), ("é", "é"), ("a=", "\nb")]
        {
            let expected = format!("{before}[redacted:{name}]{after}");
            // A letter before the start means that it is within a word.
            let expected = if before == "é" { format!("é{secret}é") } else { expected };
            assert_eq!(redactor.redact(&format!("{before}{secret}{after}")), expected);
        }
    }
}

#[test]
fn ordinary_text_and_code_stay_as_they_are() {
    let redactor = Redactor::default();
    for text in [
        "",
        "sk-learn is a library; sk-this-is-a-kebab-case-name-of-a-thing",
        "task-aB3dE5gH7jK9aB3dE5gH7jK9",
        "token = get_token()\npassword=prompt(\"x\")\nlet token=$(cat token)",
        "fn f(password: &str, token: Token) -> Secret { a == b }",
        "https://example.com/a:b@c and http://[::1]:80/ and ://",
        "eyJhbGci is how tokens begin. eyJ.eyJ.x",
        "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----",
        "AKIA is a prefix",
        "max_tokens=100000000",
        "Bearer of good news for all of mankind today",
        "PASSWORD=\nTOKEN=ab\nSECRET=${FROM_ELSEWHERE}\nKEYBOARD_LAYOUT=german-layout",
    ] {
        assert_eq!(redactor.redact(text), text);
    }
}

#[test]
fn assignments_keep_their_name() {
    let redactor = Redactor::default();
    let text = "DB_PASSWORD=hunter2hunter2\nexport API_TOKEN=\"with spaces inside\" # x\n  SECRET_KEY='abcdef'\nPORT=8080800\nx DB_PASSWORD=hunter2\n";
    let expected = "DB_PASSWORD=[redacted:DB_PASSWORD]\nexport API_TOKEN=\"[redacted:API_TOKEN]\" # x\n  SECRET_KEY='[redacted:SECRET_KEY]'\nPORT=8080800\nx DB_PASSWORD=hunter2\n";
    assert_eq!(redactor.redact(text), expected);
}

#[test]
fn passwords_in_addresses_and_bearer_tokens_go_alone() {
    let redactor = Redactor::default();
    assert_eq!(
        redactor.redact("git clone https://me:p4ss@host/x https://user@host"),
        "git clone https://me:[redacted:url-password]@host/x https://user@host"
    );
    let header = format!("Authorization: Bearer {}; x", run(30));
    assert_eq!(redactor.redact(&header), "Authorization: Bearer [redacted:bearer-token]; x");
}

#[test]
fn private_keys_go_with_all_their_lines_even_unfinished() {
    let redactor = Redactor::default();
    for label in ["RSA PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK"] {
        let block = format!("-----BEGIN {label}-----\n{}\n-------{}\n-----END {label}-----", run(64), run(9));
        assert_eq!(redactor.redact(&format!("a\n{block}\nb")), "a\n[redacted:private-key]\nb");
        assert_eq!(redactor.redact(&block[..60]), "[redacted:private-key]");
    }
}

#[test]
fn known_values_are_found_anywhere_and_the_longest_wins() {
    let mut known = KnownSecrets::new();
    known.add("SHORT", "tiny");
    known.add("FIRST", "needle-one");
    known.add("LONGER", "needle-one-and-more");
    known.add("ODD NAME]", "ünï-cødé");
    let redactor = Redactor::new(&known);
    assert_eq!(
        redactor.redact("tiny xneedle-onex needle-one-and-more needle-one-and ünï-cødé"),
        "tiny x[redacted:FIRST]x [redacted:LONGER] [redacted:FIRST]-and [redacted:ODD_NAME_]"
    );
    assert!(!format!("{redactor:?}").contains("needle"));
}

#[test]
fn a_session_knows_the_env_files_of_its_worktree() {
    let tree = tempfile::tempdir().unwrap();
    let files = [
        (".env", "DB_PASSWORD=correct-horse\nDEBUG=true"),
        ("apps/web/.env.local", "SESSION_SECRET='battery staple'"),
        (".env.example", "DB_PASSWORD=your-password-here"),
        ("node_modules/x/.env", "OTHER_PASSWORD=not-looked-at"),
    ];
    for (path, text) in files {
        let path = tree.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let variables = BTreeMap::from([("MY_API_KEY".to_owned(), "from-the-request".to_owned())]);
    let redactor = Redactor::for_session(&variables, Some(tree.path()));
    assert_eq!(
        redactor
            .redact("correct-horse battery staple your-password-here not-looked-at from-the-request true"),
        "[redacted:DB_PASSWORD] [redacted:SESSION_SECRET] your-password-here not-looked-at [redacted:MY_API_KEY] true"
    );
}
