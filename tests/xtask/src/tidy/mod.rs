//! `cargo xtask tidy`: rules of the repository that no compiler checks. Each rule is a module that looks at the tree
//! or the package graph and returns findings; none of them changes a file.
//!
//! Two rules can be overruled where a line has a good reason: a comment `tidy-allow(RULE): reason` on the line or on
//! the one above it.

mod arrows;
mod crate_shape;
mod finding;
mod leftovers;
mod length;
mod licences;
mod machine_paths;
mod names;
mod packages;
mod printing;
mod rust_source;
mod size;
mod tree;

use anyhow::{Result, bail};

use self::finding::Severity;
use self::tree::Tree;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let tree = Tree::load(&workspace.root)?;
    let packages = packages::read(workspace);
    let mut findings = Vec::new();
    findings.extend(arrows::check(&packages, &tree));
    findings.extend(crate_shape::check(&tree));
    findings.extend(leftovers::check(&tree));
    findings.extend(length::check(&tree));
    findings.extend(licences::check(&packages, &tree));
    findings.extend(machine_paths::check(&tree));
    findings.extend(names::check(&tree));
    findings.extend(printing::check(&tree));
    findings.extend(size::check(&tree));
    findings.sort_by_key(|finding| (finding.severity, finding.path.clone(), finding.line));
    for finding in &findings {
        println!("{finding}");
    }
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let warnings = findings.len() - errors;
    println!("tidy: {} files, {errors} errors, {warnings} warnings", tree.files().len());
    if errors > 0 { bail!("{errors} rules of the repository are broken") } else { Ok(()) }
}
