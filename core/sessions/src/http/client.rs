//! HTTP clients, one for each way out of this machine.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Certificate, Client, NoProxy, Proxy};

use crate::Env;

const CONNECT: Duration = Duration::from_secs(20);
/// Clients that are kept; their connections are reused.
const KEPT: usize = 16;

/// What in a caller's variables decides about the way out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Way {
    proxy: Option<String>,
    no_proxy: Option<String>,
    certificates: Option<String>,
}

/// Clients by the caller's variables. The daemon's own environment is not its user's and is never asked.
#[derive(Default)]
pub(crate) struct Clients {
    kept: Mutex<HashMap<Way, Client>>,
}

impl Clients {
    /// # Errors
    /// When proxy or certificates of the variables cannot be used, in words for a person.
    pub(crate) fn get(&self, env: &Env) -> Result<Client, String> {
        let first = |names: &[&str]| names.iter().find_map(|name| env.get(*name)).filter(|v| !v.is_empty());
        let way = Way {
            proxy: first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]).cloned(),
            no_proxy: first(&["no_proxy", "NO_PROXY"]).cloned(),
            certificates: first(&["SSL_CERT_FILE"]).cloned(),
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = kept.get(&way) {
            return Ok(client.clone());
        }
        let client = way.build()?;
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(way, client.clone());
        Ok(client)
    }
}

impl Way {
    fn build(&self) -> Result<Client, String> {
        podium_models::install_tls();
        let mut builder = Client::builder()
            .user_agent(concat!("podium/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            // A redirect would carry the key elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        if let Some(url) = &self.proxy {
            let except = self.no_proxy.as_deref().and_then(NoProxy::from_string);
            let proxy = Proxy::all(url).map_err(|_| "the proxy of https_proxy is no address".to_owned())?;
            builder = builder.proxy(proxy.no_proxy(except));
        }
        if let Some(file) = &self.certificates {
            let pem = std::fs::read(file).map_err(|error| format!("SSL_CERT_FILE: {error}"))?;
            let found = Certificate::from_pem_bundle(&pem);
            for certificate in found.map_err(|_| "SSL_CERT_FILE holds no certificates".to_owned())? {
                builder = builder.add_root_certificate(certificate);
            }
        }
        builder.build().map_err(|error| format!("no HTTP client: {error}"))
    }
}
