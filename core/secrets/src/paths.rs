use std::path::Path;

const NAMES: &[&str] = &[
    ".env",
    ".envrc",
    ".netrc",
    "_netrc",
    ".pgpass",
    ".my.cnf",
    ".npmrc",
    ".pypirc",
    ".git-credentials",
    ".htpasswd",
    ".dockercfg",
    ".vault-token",
    ".s3cfg",
    ".boto",
    "credentials",
    "credentials.json",
    "credentials.toml",
    "secrets.toml",
    "secrets.json",
    "secrets.yaml",
    "secrets.yml",
    "secret.json",
    "id_rsa",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
    "id_ed25519_sk",
    "id_ecdsa_sk",
    "application_default_credentials.json",
    "terraform.tfstate",
    "kubeconfig",
    "master.key",
];
const SUFFIXES: &[&str] = &[
    ".env",
    ".pem",
    ".key",
    ".p12",
    ".pfx",
    ".jks",
    ".keystore",
    ".kdbx",
    ".ppk",
    ".asc.key",
    ".tfstate",
    ".tfstate.backup",
];
/// Folders that hold nothing else.
const FOLDERS: &[&str] = &[".ssh", ".gnupg", ".aws", ".azure", ".kube", ".password-store"];
/// Folder and what lies in it.
const WITHIN: &[(&str, &str)] =
    &[(".docker", "config.json"), (".config", "gcloud"), (".config", "gh"), (".cargo", "credentials")];
/// Endings of files that show the form of a secret file, and are made to be read.
const SAMPLES: &[&str] = &["example", "examples", "sample", "template", "tmpl", "dist", "defaults", "schema"];

/// Whether agents are denied this file unless somebody allows it. By name only, in any case, wherever it lies; the path
/// need not exist. Callers resolve symlinks first, or ask for both ends.
pub fn is_secret_path(path: &Path) -> bool {
    let parts: Vec<String> =
        path.components().map(|part| part.as_os_str().to_string_lossy().to_ascii_lowercase()).collect();
    let in_folder = parts.iter().any(|part| FOLDERS.contains(&part.as_str()));
    let within = parts.windows(2).any(|pair| {
        WITHIN.iter().any(|(folder, inner)| {
            pair[0] == *folder && (pair[1] == *inner || pair[1].starts_with(&format!("{inner}.")))
        })
    });
    in_folder || within || parts.last().is_some_and(|name| is_secret_name(name))
}

fn is_secret_name(name: &str) -> bool {
    // .env.example and example.env both show the form only.
    if name.split('.').any(|part| SAMPLES.contains(&part)) {
        return false;
    }
    let service_account = name.starts_with("service-account") && name.ends_with(".json");
    NAMES.contains(&name)
        || name.starts_with(".env.")
        || service_account
        || SUFFIXES.iter().any(|suffix| name.len() > suffix.len() && name.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::is_secret_path;

    #[test]
    fn files_that_hold_secrets_are_denied() {
        for path in [
            ".env",
            "a/.env",
            ".env.local",
            ".ENV.Production",
            "prod.env",
            "x/server.pem",
            "tls.key",
            "/srv/u/.ssh/config",
            ".ssh",
            "/srv/u/.aws/credentials",
            "id_rsa",
            "deploy/id_ed25519",
            ".netrc",
            ".npmrc",
            ".git-credentials",
            ".docker/config.json",
            ".config/gh/hosts.yml",
            ".cargo/credentials.toml",
            "secrets.yaml",
            "terraform.tfstate",
            "service-account-prod.json",
        ] {
            assert!(is_secret_path(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn files_that_only_look_alike_are_allowed() {
        for path in [
            ".env.example",
            ".env.sample",
            "example.env",
            "src/env.rs",
            "environment.ts",
            "id_rsa.pub",
            "keys.rs",
            "key",
            "pem",
            "src/secrets/mod.rs",
            "docs/credentials.md",
            ".docker/Dockerfile",
            ".config/nextest.toml",
            ".cargo/config.toml",
            "",
            "/",
            "..",
            "ssh/config",
            ".envoy.yaml",
        ] {
            assert!(!is_secret_path(Path::new(path)), "{path}");
        }
    }
}
