//! llama.cpp's own server over a model file: what people run at home for OpenAI's interface.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::ToolPaths;

/// Loads the model, prints where it listens, and ends when its input does.
const SCRIPT: &str = r#"
import sys
import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.n_ctx = 4096
params.n_parallel = 1
# One more would wait for the other wherever the machine is busy.
params.cpuparams.n_threads = 1
params.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
"#;

/// The running server. It ends with this, or with the process.
pub struct LlamaServer {
    child: Child,
    url: String,
}

impl LlamaServer {
    /// # Panics
    /// When it is not provisioned, or cannot load the model.
    #[must_use]
    pub fn start(model: &Path) -> Self {
        let package = ToolPaths::load().get("llama_server");
        let mut child = Command::new("python3")
            .args(["-c", SCRIPT])
            .arg(model)
            .env("PYTHONPATH", package)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("python3 cannot be started: {error}"));
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            let _ = BufReader::new(stdout).read_line(&mut line);
        }
        let url = line.trim().to_owned();
        assert!(url.starts_with("http://"), "the server does not load {}: {line:?}", model.display());
        Self { child, url }
    }

    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for LlamaServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
