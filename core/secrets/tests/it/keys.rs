use std::{fs, path::Path};

use podium_secrets::{KeySource, Keyring, KnownSecrets, Redactor, Secret, SecretsError, SecretsFile};

fn write(home: &Path, text: &str, mode: u32) {
    let path = home.join("secrets.toml");
    fs::write(&path, text).unwrap();
    #[cfg(unix)]
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn keys_of_the_request_come_before_those_of_the_file() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), "A = \"file-a\"\nB = \"file-b\"\nEMPTY = \"\"\n", 0o600);
    let file = SecretsFile::load(home.path()).unwrap();
    let keys = Keyring::new([("A", "request-a"), ("B", "")], file);
    let get = |name| keys.get(name).map(|(secret, source)| (secret.expose().to_owned(), source));
    assert_eq!(get("A"), Some(("request-a".into(), KeySource::Request)));
    assert_eq!(get("B"), Some(("file-b".into(), KeySource::File)));
    assert_eq!(get("EMPTY"), None);
    // Nothing is taken from this process's environment.
    assert!(std::env::var_os("PATH").is_some() && get("PATH").is_none());
}

#[test]
fn a_missing_file_holds_no_keys() {
    let home = tempfile::tempdir().unwrap();
    assert!(SecretsFile::load(home.path()).unwrap().get("A").is_none());
}

#[cfg(unix)]
#[test]
fn a_file_that_others_can_reach_is_refused_with_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    for mode in [0o640, 0o604, 0o620, 0o602, 0o644, 0o666] {
        write(home.path(), "A = \"secret\"", mode);
        let error = SecretsFile::load(home.path()).unwrap_err();
        assert!(matches!(error, SecretsError::TooOpen { mode: found, .. } if found == mode), "{error}");
        assert!(error.hint().starts_with("run: chmod 600 '"), "{}", error.hint());
    }
}

#[test]
fn faulty_files_are_refused_without_quoting_them() {
    let home = tempfile::tempdir().unwrap();
    for text in ["A = sk-unquoted-secret", "A = 5", "[table]\nA = \"sk-secret\"", "\"sk-secret"] {
        write(home.path(), text, 0o600);
        let error = SecretsFile::load(home.path()).unwrap_err();
        let told = format!("{error} {error:?} {}", error.hint());
        assert!(matches!(error, SecretsError::Malformed { .. }) && !told.contains("secret\""), "{told}");
        assert!(!told.contains("sk-"), "{told}");
    }
    write(home.path(), &format!("A = \"{}\"", "x".repeat(2 << 20)), 0o600);
    assert!(matches!(SecretsFile::load(home.path()), Err(SecretsError::TooLarge { .. })));
    fs::remove_file(home.path().join("secrets.toml")).unwrap();
    fs::create_dir(home.path().join("secrets.toml")).unwrap();
    assert!(SecretsFile::load(home.path()).is_err());
}

#[test]
fn a_secret_is_not_printed() {
    let secret = Secret::new("value");
    assert_eq!((format!("{secret}"), format!("{secret:?}")), ("***".to_owned(), "***".to_owned()));
    let keys = Keyring::new([("A", "hush-hush")], SecretsFile::default());
    assert!(!format!("{keys:?}").contains("hush"));
}

#[test]
fn all_keys_of_a_keyring_can_be_redacted() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), "MINE = \"from the file\"", 0o600);
    let file = SecretsFile::load(home.path()).unwrap();
    let request = [("OPENAI_API_KEY", "plain-looking"), ("LANG", "en_US.UTF-8"), ("PATH", "/usr/bin:/bin")];
    let mut known = KnownSecrets::new();
    Keyring::new(request, file).add_to(&mut known);
    let text = Redactor::new(&known).redact("from the file, plain-looking, en_US.UTF-8, /usr/bin:/bin");
    assert_eq!(text, "[redacted:MINE], [redacted:OPENAI_API_KEY], en_US.UTF-8, /usr/bin:/bin");
}
