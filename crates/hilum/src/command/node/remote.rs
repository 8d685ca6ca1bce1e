//! A client of the management API: HTTP/1.1, one request a connection.

use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use hilum_net::{ConnectOptions, Connector, HostPort, NetError};
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;

/// How long an answer may take; a replay waits for the disk.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 80_000_000;

/// Nobody answers where the node was expected.
#[derive(Debug, thiserror::Error)]
#[error("no hilum answers at {at}; is one running with `admin: {at}`? (--at names another)")]
pub(crate) struct Unreachable {
    at: HostPort,
    #[source]
    source: NetError,
}

/// The node does not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Told {
    /// Stable code.
    pub(crate) code: String,
    message: String,
}

/// A running node.
pub(crate) struct Remote<'a> {
    at: &'a HostPort,
    runtime: tokio::runtime::Runtime,
}

impl<'a> Remote<'a> {
    pub(crate) fn new(at: &'a HostPort) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the I/O thread")?;
        Ok(Self { at, runtime })
    }

    /// What a path gives.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(&self.bytes(path)?)?)
    }

    /// The bytes that a path gives.
    pub(crate) fn bytes(&self, path: &str) -> anyhow::Result<Bytes> {
        self.ask(Method::GET, path, Bytes::new())
    }

    /// What comes of a request.
    pub(crate) fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let answer = self.ask(Method::POST, path, body.to_string().into())?;
        Ok(serde_json::from_slice(&answer)?)
    }

    /// Ends at Ctrl-C or after this time; says which.
    pub(crate) fn interrupted_within(&self, time: Duration) -> anyhow::Result<bool> {
        self.runtime
            .block_on(async {
                tokio::select! {
                    pressed = tokio::signal::ctrl_c() => pressed.map(|()| true),
                    () = tokio::time::sleep(time) => Ok(false),
                }
            })
            .context("cannot wait for Ctrl-C")
    }

    fn ask(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Bytes> {
        self.runtime.block_on(async {
            tokio::time::timeout(ANSWER_WITHIN, self.asked(method, path, body))
                .await
                .with_context(|| format!("the node at {} did not answer in time", self.at))?
        })
    }

    async fn asked(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Bytes> {
        let connector = Connector::new(ConnectOptions::new(self.at.clone()))?;
        let connection = connector.connect().await.map_err(|source| Unreachable {
            at: self.at.clone(),
            source,
        })?;
        let io = TokioIo::new(connection.stream);
        let (mut sender, driver) = hyper::client::conn::http1::handshake(io).await?;
        // Its end is seen by the request too.
        let driver = tokio::spawn(driver);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.at.to_string())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        let response = sender
            .send_request(request)
            .await
            .with_context(|| format!("{} gave no answer", self.at))?;
        let status = response.status();
        let whole = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| anyhow::anyhow!("the answer of {} broke off: {error}", self.at))?
            .to_bytes();
        driver.abort();
        if !status.is_success() {
            let told: Value = serde_json::from_slice(&whole).unwrap_or_default();
            match told["error"]["message"].as_str() {
                Some(message) => {
                    let code = told["error"]["code"].as_str().unwrap_or_default();
                    return Err(Told {
                        code: code.to_owned(),
                        message: message.to_owned(),
                    }
                    .into());
                }
                None => bail!("the node at {} answered {status}", self.at),
            }
        }
        Ok(whole)
    }
}

/// A text as one part of a path or of a query.
pub(crate) fn part(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
