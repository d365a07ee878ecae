//! Before each question: whether there is still a budget for it.

use podium_store::Durability;

use super::{Steps, unstored};
use crate::SessionError;
use crate::budget::Budgets;
use crate::provider::ProviderError;

impl Steps {
    /// # Errors
    /// `Parked`, with the budget and how to go on.
    pub(super) async fn within_budget(&mut self) -> Result<(), ProviderError> {
        let priced = self.provider.is_priced(&self.turn);
        let budgets = self.sessions.budgets(self.limits);
        if budgets.is_empty() {
            return Ok(());
        }
        match self.recorder.account(budgets, priced).await {
            Ok(None) => Ok(()),
            Ok(Some(reason)) => Err(ProviderError::Parked { reason }),
            Err(error) => Err(unstored(&error)),
        }
    }
}

impl super::recorder::Recorder {
    /// Stores what was used so far and compares it with the budgets, in one transaction.
    async fn account(&mut self, budgets: Budgets, priced: bool) -> Result<Option<String>, SessionError> {
        let (session, usage) = (self.session.clone(), self.unstored_usage());
        let unknown = self.sessions.unknown_price();
        let write = self.sessions.store.write::<_, SessionError>(Durability::Process, move |tx| {
            crate::rows::add_usage(tx, &session, &usage, unknown)?;
            Ok(budgets.check(tx, &session, priced)?)
        });
        let stop = write.await?;
        self.usage_is_stored();
        Ok(stop)
    }
}
