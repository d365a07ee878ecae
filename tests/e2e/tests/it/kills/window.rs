//! An editor's window that follows a session through a language server, which may be killed.

use podium_harness::{Capabilities, LspClient, TestEnvironment};
use serde_json::{Value, json};

use super::providers::Told;
use super::seen::Seen;

const UPDATE: &str = "podium/session/update";

pub(super) struct Window<'a> {
    environment: &'a TestEnvironment,
    told: &'a Told,
    session: String,
    client: Option<LspClient>,
    seen: Seen,
    status: Option<String>,
}

impl<'a> Window<'a> {
    pub(super) fn open(environment: &'a TestEnvironment, told: &'a Told, session: &str) -> Self {
        let mut window = Self {
            environment,
            told,
            session: session.to_owned(),
            client: None,
            seen: Seen::default(),
            status: None,
        };
        window.reopen();
        window
    }

    /// SIGKILL of the language server; another one goes on behind what was shown.
    pub(super) fn kill(&mut self) {
        for update in self.client.take().map(|client| client.kill(UPDATE)).unwrap_or_default() {
            self.show(&update);
        }
        self.reopen();
    }

    /// Reads until the session is over.
    pub(super) fn read_to_end(&mut self) -> &Seen {
        loop {
            match self.status.as_deref() {
                None => {
                    let client = self.client.as_ref().unwrap();
                    let update = client.wait_for("an update", |message| message["method"] == UPDATE);
                    self.show(&update);
                }
                // A new daemon says so before somebody resumed it.
                Some("interrupted") => self.attach(),
                Some("completed") => return &self.seen,
                Some(other) => panic!("session {} is {other}", self.session),
            }
        }
    }

    /// Restarts were told in messages that a person would read.
    pub(super) fn close(mut self) {
        if let Some(client) = self.client.take() {
            let _ = client.kill(UPDATE);
        }
    }

    fn reopen(&mut self) {
        let builder = self.environment.lsp(self.environment.root()).capabilities(Capabilities::vscode());
        let builder = self.told.vars.iter().fold(builder, |builder, (name, value)| builder.var(name, value));
        self.client = Some(builder.start());
        self.attach();
    }

    fn attach(&mut self) {
        self.status = None;
        let params = json!({ "id": self.session, "fromSeq": self.seen.last() });
        self.client.as_mut().unwrap().request("podium/session/attach", params);
    }

    fn show(&mut self, update: &Value) {
        let params = &update["params"];
        assert_eq!(params["id"], self.session.as_str(), "{update:#}");
        self.seen.extend(&params["items"]);
        if let Some(status) = params["end"]["status"].as_str() {
            self.status = Some(status.to_owned());
        }
    }
}
