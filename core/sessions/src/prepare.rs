//! What a turn begins with: its provider, its conversation, its tools, and the secrets it must not show.

use std::path::PathBuf;
use std::sync::Arc;

use podium_protocol::ProviderInfo;
use podium_secrets::Redactor;

use crate::SessionError;
use crate::agent::{Toolbox, Workbench};
use crate::history::History;
use crate::hub::Running;
use crate::manager::{Env, Sessions};
use crate::provider::{Provider, Turn};
use crate::rows::{self, SessionRow};
use crate::turn::TurnJob;

impl Sessions {
    /// Every provider with its state.
    pub async fn providers(&self, env: &Env) -> Vec<ProviderInfo> {
        let mut infos = Vec::new();
        for provider in &self.inner.settings.providers {
            infos.push(provider.info(env).await);
        }
        infos
    }

    pub(crate) fn named(&self, name: &str) -> Result<Arc<dyn Provider>, SessionError> {
        let providers = &self.inner.settings.providers;
        let found = providers.iter().find(|p| p.name() == name || p.aliases().contains(&name));
        found.cloned().ok_or_else(|| SessionError::UnknownProvider {
            name: name.to_owned(),
            known: providers.iter().map(|p| p.name().to_owned()).collect(),
        })
    }

    /// The provider asked for, else the configured one, else the first that can be used.
    pub(crate) async fn choose(
        &self,
        wanted: Option<&str>,
        env: &Env,
    ) -> Result<Arc<dyn Provider>, SessionError> {
        let config = self.inner.settings.config.get();
        let configured = Some(config.text("sessions.provider")).filter(|name| !name.is_empty());
        let (mut reasons, mut hints) = (Vec::new(), Vec::new());
        let candidates = match wanted.or(configured) {
            Some(name) => vec![self.named(name)?],
            None => self.inner.settings.providers.clone(),
        };
        for provider in candidates {
            let info = provider.info(env).await;
            if info.usable {
                return Ok(provider);
            }
            reasons.push(format!("{}: {}", info.name, info.why));
            hints.push(format!("{}: {}", info.name, info.why));
        }
        hints.push("`jelmore providers` shows all providers and how to set them up".to_owned());
        Err(SessionError::NoProvider { reasons, hints })
    }

    pub(crate) async fn prepare(
        &self,
        row: &SessionRow,
        provider: Arc<dyn Provider>,
        running: Running,
        env: Env,
        resumed: bool,
    ) -> Result<TurnJob, SessionError> {
        let id = row.info.id.clone();
        let read = move |conn: &podium_store::rusqlite::Connection| -> Result<_, SessionError> {
            Ok(rows::undated(conn, &id)?)
        };
        let history = History::of(self.inner.store.read(read).await?);
        let request: serde_json::Value = serde_json::from_str(&row.request).unwrap_or_default();
        let worktree = row.info.worktree_path.as_ref().map(PathBuf::from);
        let redactor = Arc::new(self.inner.settings.keys.redactor(&env, worktree.clone()).await);
        let tools = self.tools(row, provider.as_ref(), &env, &redactor).await?;
        let turn = Turn {
            session: row.info.id.clone(),
            model: row.info.model.clone(),
            system: tools.as_ref().map(|tools| tools.system()).unwrap_or_default(),
            tools: tools.as_ref().map(|tools| tools.specs()).unwrap_or_default(),
            resumed,
            state: row.state.clone(),
            tokens: history.tokens.clone(),
            messages: history.messages(),
            seed: request["seed"].as_u64().unwrap_or(0),
            max_tokens: request["maxTokens"].as_u64().and_then(|n| u32::try_from(n).ok()),
            temperature: request["temperature"].as_f64(),
            worktree,
            env,
            redactor: Arc::clone(&redactor),
            link: running.link(),
        };
        let (sessions, row) = (Arc::clone(&self.inner), row.clone());
        Ok(TurnJob { sessions, row, turn, provider, running, history, redactor, tools })
    }

    /// The tools of a bare model that works in a worktree.
    async fn tools(
        &self,
        row: &SessionRow,
        provider: &dyn Provider,
        env: &Env,
        redactor: &Arc<Redactor>,
    ) -> Result<Option<Arc<dyn Toolbox>>, SessionError> {
        let (Some(toolkit), Some(root), true) =
            (&self.inner.settings.toolkit, &row.info.worktree_path, provider.takes_tools())
        else {
            return Ok(None);
        };
        let bench = Workbench {
            session: row.info.id.clone(),
            agent_id: row.info.agent_id.clone(),
            worktree: row.worktree_id.clone().unwrap_or_default(),
            root: PathBuf::from(root),
            repo: row.repo.clone(),
            env: env.clone(),
            redactor: Arc::clone(redactor),
        };
        toolkit.open(bench).await.map(Some)
    }
}

/// A name that the provider knows to be wrong is refused before anything is stored.
pub(crate) fn check_model(provider: &dyn Provider, wanted: Option<&str>) -> Result<(), SessionError> {
    let (Some(name), Some(known)) = (wanted, provider.known_models()) else { return Ok(()) };
    if known.iter().any(|k| k.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    let known = known.into_iter().map(str::to_owned).collect();
    Err(SessionError::UnknownModel { provider: provider.name(), name: name.to_owned(), known })
}
