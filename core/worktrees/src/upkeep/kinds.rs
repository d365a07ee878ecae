//! Types of worktrees: those of the program, and a person's own.

use podium_protocol::{TypeChangeParams, TypeList, TypeListParams, WireError, WorktreeType};
use podium_store::rusqlite::{Connection, params};
use podium_store::{Durability, Tx};

use crate::error::Result;
use crate::layout::{KINDS, RESERVED};
use crate::service::Worktrees;

const ABOUT: [&str; 4] =
    ["a feature", "a fault to mend", "agents, their prompts and tools", "build, delivery, infrastructure"];
/// Own types at most.
const MOST: usize = 100;

impl Worktrees {
    /// # Errors
    /// When the store cannot be read.
    pub async fn types(&self, _params: TypeListParams) -> Result<TypeList, WireError> {
        let own: Result<Vec<WorktreeType>> = self.inner.store.read(own_types).await;
        let builtin = KINDS.iter().zip(ABOUT);
        let builtin = builtin.map(|(name, about)| WorktreeType {
            name: (*name).to_owned(),
            about: about.to_owned(),
            builtin: true,
        });
        Ok(TypeList { types: builtin.chain(own?).collect() })
    }

    /// Names of types that are not the program's.
    pub(crate) async fn own_kinds(&self) -> Result<Vec<String>> {
        let own: Result<Vec<WorktreeType>> = self.inner.store.read(own_types).await;
        Ok(own?.into_iter().map(|kind| kind.name).collect())
    }

    /// # Errors
    /// `User` for a word that cannot be a type, `Conflict` for one that is.
    pub async fn add_type(&self, params: TypeChangeParams) -> Result<TypeList, WireError> {
        let name = checked(&params.name)?;
        let about: String = params.about.unwrap_or_default().chars().take(200).collect();
        let known = self.own_kinds().await?;
        if known.len() >= MOST {
            return Err(WireError::user(format!("there are {MOST} types already")));
        }
        let write = move |tx: &Tx<'_>| -> Result<()> {
            let sql = "INSERT OR IGNORE INTO worktree_types (name, about, created_at) VALUES (?1, ?2, ?3)";
            if tx.execute(sql, params![name, about, tx.now])? == 0 {
                return Err(WireError::conflict(format!("`{name}` is a type already")).into());
            }
            Ok(())
        };
        self.inner.store.write(Durability::Process, write).await?;
        self.types(TypeListParams {}).await
    }

    /// Worktrees of the type stay what they are.
    ///
    /// # Errors
    /// `NotFound`; `User` for a type of the program's.
    pub async fn remove_type(&self, params: TypeChangeParams) -> Result<TypeList, WireError> {
        let name = params.name;
        if KINDS.contains(&name.as_str()) {
            return Err(WireError::user(format!("`{name}` comes with the program and stays")));
        }
        let write = move |tx: &Tx<'_>| -> Result<()> {
            if tx.execute("DELETE FROM worktree_types WHERE name = ?1", [&name])? == 0 {
                let shown: String = name.chars().take(40).collect();
                return Err(WireError::not_found(format!("there is no type `{shown}`")).into());
            }
            Ok(())
        };
        self.inner.store.write(Durability::Process, write).await?;
        self.types(TypeListParams {}).await
    }
}

fn own_types(conn: &Connection) -> Result<Vec<WorktreeType>> {
    let mut statement = conn.prepare_cached("SELECT name, about FROM worktree_types ORDER BY name")?;
    let read = |row: &podium_store::rusqlite::Row<'_>| {
        Ok(WorktreeType { name: row.get(0)?, about: row.get(1)?, builtin: false })
    };
    Ok(statement.query_map([], read)?.collect::<std::result::Result<_, _>>()?)
}

/// A type is the beginning of folders and branches, and a word of the command line.
fn checked(name: &str) -> Result<String, WireError> {
    let shown: String = name.chars().take(40).collect();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let first = name.chars().next().is_some_and(|c| c.is_ascii_lowercase());
    if !first || name.len() > 20 || !name.chars().all(plain) {
        let error = WireError::usage(format!("`{shown}` cannot be a type of worktree"));
        return Err(error.hint("a type is a word of at most 20 small letters and digits"));
    }
    if KINDS.contains(&name) {
        return Err(WireError::conflict(format!("`{name}` is a type already")));
    }
    if RESERVED.contains(&name) {
        return Err(
            WireError::usage(format!("`{name}` has a meaning of its own")).hint("choose another word")
        );
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_a_plain_word_that_means_nothing_else() {
        assert_eq!(checked("docs"), Ok("docs".to_owned()));
        for bad in ["", "Docs", "a-b", "a/b", "1x", "--json", "trunk", "review", "list", "feat", "ä"] {
            assert!(checked(bad).is_err(), "{bad:?}");
        }
    }
}
