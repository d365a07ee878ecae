//! What sessions may use: tokens and money of a session, of a worktree, of a day. Near a bound it is told once, at it a
//! turn ends before the next question and waits for a person.

use podium_config::Config;
use podium_store::rusqlite::{Connection, OptionalExtension as _, params};
use podium_store::{NewEvent, StoreError, Tx, rfc3339};
use serde_json::json;

/// US dollars for a million tokens of the dearest models: what a model of unknown price counts as.
const DEAREST_INPUT: f64 = 15.0;
const DEAREST_OUTPUT: f64 = 75.0;
const EVENT: &str = "session.budget";

/// What a use counts for budgets where its price is not known.
pub(crate) fn dearest(input_tokens: u64, output_tokens: u64) -> f64 {
    (input_tokens as f64 * DEAREST_INPUT + output_tokens as f64 * DEAREST_OUTPUT) / 1e6
}

/// The bounds of the configuration. 0: none.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Budgets {
    bounds: Vec<Bound>,
    warn_percent: u64,
}

#[derive(Debug, Clone, PartialEq)]
struct Bound {
    key: &'static str,
    scope: Scope,
    unit: Unit,
    most: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Session,
    Worktree,
    Day,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Tokens,
    Cents,
}

const KEYS: &[(&str, Scope, Unit)] = &[
    ("budget.session_tokens", Scope::Session, Unit::Tokens),
    ("budget.session_cents", Scope::Session, Unit::Cents),
    ("budget.worktree_tokens", Scope::Worktree, Unit::Tokens),
    ("budget.worktree_cents", Scope::Worktree, Unit::Cents),
    ("budget.day_tokens", Scope::Day, Unit::Tokens),
    ("budget.day_cents", Scope::Day, Unit::Cents),
];

impl Budgets {
    pub(crate) fn of(config: &Config) -> Self {
        let number = |key: &str| u64::try_from(config.integer(key)).unwrap_or_default();
        let bound = |(key, scope, unit): &(&'static str, Scope, Unit)| Bound {
            key,
            scope: *scope,
            unit: *unit,
            most: number(key) as f64,
        };
        let bounds = KEYS.iter().map(bound).filter(|bound| bound.most > 0.0).collect();
        Self { bounds, warn_percent: number("budget.warn_percent") }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bounds.is_empty()
    }

    /// Compares what is stored with the bounds, and tells of what is newly near or at one. Why the session has to stop,
    /// if it has to.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) fn check(&self, tx: &Tx<'_>, session: &str) -> Result<Option<String>, StoreError> {
        let mut stop = None;
        for bound in &self.bounds {
            let Some(place) = bound.scope.place(tx, session)? else { continue };
            let used = bound.used(tx, &place)?;
            let level = match used / bound.most {
                share if share >= 1.0 => "stop",
                share if share * 100.0 >= self.warn_percent as f64 => "warn",
                _ => continue,
            };
            tell_once(tx, bound, &place, level, used, session)?;
            if level == "stop" {
                stop.get_or_insert_with(|| bound.reason(used));
            }
        }
        Ok(stop)
    }
}

impl Scope {
    const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Worktree => "worktree",
            Self::Day => "day",
        }
    }

    /// What it is of which the use is summed up; `None` for a session without a worktree.
    fn place(self, tx: &Tx<'_>, session: &str) -> Result<Option<String>, StoreError> {
        match self {
            Self::Session => Ok(Some(session.to_owned())),
            Self::Day => Ok(Some(day(tx.now))),
            Self::Worktree => {
                let sql = "SELECT worktree FROM sessions WHERE id = ?1";
                let found: Option<Option<String>> =
                    tx.query_row(sql, [session], |row| row.get(0)).optional()?;
                Ok(found.flatten())
            }
        }
    }
}

impl Bound {
    fn used(&self, conn: &Connection, place: &str) -> Result<f64, StoreError> {
        let sum = match self.unit {
            Unit::Tokens => "input_tokens + output_tokens",
            Unit::Cents => "reckoned_usd * 100",
        };
        let sql = format!("SELECT TOTAL({sum}) FROM usage WHERE {} = ?1", self.scope.name());
        Ok(conn.prepare_cached(&sql)?.query_row([place], |row| row.get(0))?)
    }

    fn amount(&self, amount: f64) -> String {
        match self.unit {
            Unit::Tokens => format!("{amount:.0} tokens"),
            Unit::Cents => format!("${:.2}", amount / 100.0),
        }
    }

    fn reason(&self, used: f64) -> String {
        let (key, scope) = (self.key, self.scope.name());
        let whose = if self.scope == Scope::Day { "today".to_owned() } else { format!("of this {scope}") };
        format!(
            "the budget {whose} is used up: {} of {}; raise it by `podium config set {key} N` (0: no bound) and go \
             on with `jelmore start --continue`",
            self.amount(used),
            self.amount(self.most),
        )
    }
}

/// One event for each bound, place and level.
fn tell_once(
    tx: &Tx<'_>,
    bound: &Bound,
    place: &str,
    level: &str,
    used: f64,
    session: &str,
) -> Result<(), StoreError> {
    let subject = format!("budget/{}/{place}", bound.scope.name());
    let sql = "SELECT 1 FROM events WHERE type = ?1 AND subject = ?2 AND data ->> 'budget' = ?3
               AND data ->> 'level' = ?4 AND data ->> 'most' = ?5";
    let told = tx.query_row(sql, params![EVENT, subject, bound.key, level, bound.most], |_| Ok(()));
    if told.optional()?.is_none() {
        let data = json!({
            "budget": bound.key, "level": level, "used": used, "most": bound.most, "id": session,
        });
        tx.emit(&NewEvent::new(EVENT, subject, data).correlated(session.to_owned()))?;
    }
    Ok(())
}

/// The day of a time, UTC.
pub(crate) fn day(now_ms: i64) -> String {
    rfc3339(now_ms).chars().take(10).collect()
}
