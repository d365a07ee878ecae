//! What sessions may use: tokens and money of a session, of a worktree, of a day. Near a bound it is told once, at it a
//! turn ends before the next question and waits for a person.

use podium_config::Config;
use podium_protocol::Usage;
use podium_store::rusqlite::{Connection, OptionalExtension as _, params};
use podium_store::{NewEvent, StoreError, Tx, rfc3339};
use serde_json::json;

use crate::next::Limits;

const EVENT: &str = "session.budget";
const UNKNOWN_KEY: &str = "budget.unknown_price";
/// US dollars for a million tokens of the dearest models.
const DEAREST_INPUT: f64 = 15.0;
const DEAREST_OUTPUT: f64 = 75.0;

/// What a use counts for budgets in money where its price is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnknownPrice {
    /// As that of the dearest models.
    Dearest,
    Free,
    /// Nothing is asked that has no price.
    Refuse,
}

impl UnknownPrice {
    pub(crate) fn of(config: &Config) -> Self {
        match config.text(UNKNOWN_KEY) {
            "free" => Self::Free,
            "refuse" => Self::Refuse,
            _ => Self::Dearest,
        }
    }

    /// US dollars.
    pub(crate) fn counts(self, usage: &Usage) -> f64 {
        let of = |tokens: u64, price: f64| tokens as f64 * price / 1e6;
        match self {
            Self::Free => 0.0,
            Self::Dearest | Self::Refuse => {
                of(usage.input_tokens, DEAREST_INPUT) + of(usage.output_tokens, DEAREST_OUTPUT)
            }
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Free => "as nothing",
            Self::Dearest | Self::Refuse => "as the dearest",
        }
    }
}

/// The bounds of the configuration. 0: none.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Budgets {
    bounds: Vec<Bound>,
    warn_percent: u64,
    unknown: UnknownPrice,
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

/// Limits of one session are called as they are given.
const MAX_COST: &str = "--max-cost";
const MAX_TOKENS: &str = "--max-total-tokens";

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
        Self { bounds, warn_percent: number("budget.warn_percent"), unknown: UnknownPrice::of(config) }
    }

    /// And those that one session was given.
    pub(crate) fn with(mut self, limits: Limits) -> Self {
        let bound = |key, unit, most| Bound { key, scope: Scope::Session, unit, most };
        let tokens = limits.tokens.map(|most| bound(MAX_TOKENS, Unit::Tokens, most as f64));
        let cents = limits.cost_usd.map(|most| bound(MAX_COST, Unit::Cents, most * 100.0));
        self.bounds.extend(tokens.into_iter().chain(cents));
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bounds.is_empty()
    }

    /// Compares what is stored with the bounds, and tells of what is newly near or at one. Why the session has to stop,
    /// if it has to. `priced`: what is asked next has a known price.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) fn check(
        &self,
        tx: &Tx<'_>,
        session: &str,
        priced: bool,
    ) -> Result<Option<String>, StoreError> {
        let mut stop = None;
        for bound in &self.bounds {
            let Some(place) = bound.scope.place(tx, session)? else { continue };
            let (used, unpriced) = bound.used(tx, &place)?;
            if bound.unit == Unit::Cents && self.unknown == UnknownPrice::Refuse && (unpriced || !priced) {
                stop.get_or_insert_with(|| bound.refusal());
                continue;
            }
            let level = match used / bound.most {
                _ if bound.most <= 0.0 => "stop",
                share if share >= 1.0 => "stop",
                share if share * 100.0 >= self.warn_percent as f64 => "warn",
                _ => continue,
            };
            let unknown = (unpriced && bound.unit == Unit::Cents).then_some(self.unknown);
            tell_once(tx, bound, &place, level, (used, unknown), session)?;
            if level == "stop" {
                stop.get_or_insert_with(|| bound.reason(used, unknown, session));
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
    /// In its unit, and whether a price in it is not known.
    fn used(&self, conn: &Connection, place: &str) -> Result<(f64, bool), StoreError> {
        let sum = match self.unit {
            Unit::Tokens => "input_tokens + output_tokens",
            Unit::Cents => "reckoned_usd * 100",
        };
        let sql = format!(
            "SELECT TOTAL({sum}), coalesce(MAX(unpriced), 0) FROM usage WHERE {} = ?1",
            self.scope.name()
        );
        Ok(conn.prepare_cached(&sql)?.query_row([place], |row| Ok((row.get(0)?, row.get(1)?)))?)
    }

    fn amount(&self, amount: f64) -> String {
        match self.unit {
            Unit::Tokens => format!("{amount:.0} tokens"),
            Unit::Cents => format!("${:.2}", amount / 100.0),
        }
    }

    fn reason(&self, used: f64, unknown: Option<UnknownPrice>, session: &str) -> String {
        let (key, scope) = (self.key, self.scope.name());
        let whose = if self.scope == Scope::Day { "today".to_owned() } else { format!("of this {scope}") };
        let counted = match unknown {
            Some(unknown) => {
                format!(" (a price that is not known counts {}: {UNKNOWN_KEY})", unknown.words())
            }
            None => String::new(),
        };
        let way_on = match key {
            MAX_COST | MAX_TOKENS => format!("go on with `jelmore sessions resume {session} {key} N`"),
            key => format!(
                "raise it by `podium config set {key} N` (0: no bound) and go on with `jelmore start --continue`"
            ),
        };
        format!(
            "the budget {whose} is used up: {} of {}{counted}; {way_on}",
            self.amount(used),
            self.amount(self.most),
        )
    }

    fn refusal(&self) -> String {
        format!(
            "{} bounds what may be spent, and the price of this model is not known: add it to `prices` (`podium config \
             set prices`), or let it count by `podium config set {UNKNOWN_KEY} dearest`",
            self.key
        )
    }
}

/// One event for each bound, place and level.
fn tell_once(
    tx: &Tx<'_>,
    bound: &Bound,
    place: &str,
    level: &str,
    (used, unknown): (f64, Option<UnknownPrice>),
    session: &str,
) -> Result<(), StoreError> {
    let subject = format!("budget/{}/{place}", bound.scope.name());
    let sql = "SELECT 1 FROM events WHERE type = ?1 AND subject = ?2 AND data ->> 'budget' = ?3
               AND data ->> 'level' = ?4 AND data ->> 'most' = ?5";
    let told = tx.query_row(sql, params![EVENT, subject, bound.key, level, bound.most], |_| Ok(()));
    if told.optional()?.is_none() {
        let data = json!({
            "budget": bound.key, "level": level, "used": used, "most": bound.most, "id": session,
            "unknownPriceCounts": unknown.map(UnknownPrice::words),
        });
        tx.emit(&NewEvent::new(EVENT, subject, data).correlated(session.to_owned()))?;
    }
    Ok(())
}

/// The day of a time, UTC.
pub(crate) fn day(now_ms: i64) -> String {
    rfc3339(now_ms).chars().take(10).collect()
}
