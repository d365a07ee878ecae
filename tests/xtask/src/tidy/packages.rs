//! The package graph, as `cargo metadata` tells it.

use std::path::Path;

use serde_json::Value;

use crate::workspace::Workspace;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Normal,
    Dev,
    Build,
}

pub(super) struct Dependency {
    pub(super) name: String,
    /// The name in the manifest, where it is another.
    pub(super) key: String,
    pub(super) kind: Kind,
}

pub(super) struct Package {
    pub(super) name: String,
    /// Relative to the checkout.
    pub(super) manifest: String,
    pub(super) licence: Option<String>,
    pub(super) dependencies: Vec<Dependency>,
}

pub(super) fn read(workspace: &Workspace) -> Vec<Package> {
    workspace.packages().map(|package| read_one(workspace, package)).collect()
}

fn read_one(workspace: &Workspace, package: &Value) -> Package {
    let manifest = Path::new(text(&package["manifest_path"]));
    let manifest = workspace.relative(manifest).to_string_lossy().replace('\\', "/");
    let dependencies = package["dependencies"].as_array().into_iter().flatten();
    Package {
        name: text(&package["name"]).to_owned(),
        manifest,
        licence: package["license"].as_str().map(str::to_owned),
        dependencies: dependencies.map(dependency).collect(),
    }
}

fn dependency(value: &Value) -> Dependency {
    let name = text(&value["name"]).to_owned();
    let key = value["rename"].as_str().unwrap_or(&name).to_owned();
    let kind = match value["kind"].as_str() {
        Some("dev") => Kind::Dev,
        Some("build") => Kind::Build,
        _ => Kind::Normal,
    };
    Dependency { name, key, kind }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
