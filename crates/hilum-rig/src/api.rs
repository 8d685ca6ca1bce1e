//! The management API of a running program, as a script asks it.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use hilum_testkit::http::HttpClient;
use serde_json::Value;

/// One connection to the API.
#[derive(Debug)]
pub(crate) struct Api {
    address: SocketAddr,
    open: Option<HttpClient>,
}

impl Api {
    pub(crate) const fn new(address: SocketAddr) -> Self {
        Self {
            address,
            open: None,
        }
    }

    /// What a path gives.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Value> {
        let body = self.bytes(path).await?;
        serde_json::from_slice(&body).with_context(|| format!("read what {path} gives"))
    }

    /// The bytes that a path gives.
    pub(crate) async fn bytes(&mut self, path: &str) -> Result<Bytes> {
        self.call("GET", path).await?.with_context(|| absent(path))
    }

    /// The bytes that a path gives, if there is such a thing.
    pub(crate) async fn bytes_if_there(&mut self, path: &str) -> Result<Option<Bytes>> {
        self.call("GET", path).await
    }

    /// Has something done.
    pub(crate) async fn post(&mut self, path: &str) -> Result<Value> {
        let body = self.call("POST", path).await?;
        let body = body.with_context(|| absent(path))?;
        serde_json::from_slice(&body).with_context(|| format!("read what {path} gives"))
    }

    /// The messages that a query finds, newest first.
    pub(crate) async fn find(&mut self, query: &str) -> Result<Vec<Value>> {
        let mut page = self.get(&format!("/api/v1/messages?{query}")).await?;
        match page["messages"].take() {
            Value::Array(messages) => Ok(messages),
            other => bail!("a search for {query} gave {other}"),
        }
    }

    /// What a path gives; nothing if there is no such thing.
    async fn call(&mut self, method: &str, path: &str) -> Result<Option<Bytes>> {
        let mut client = match self.open.take() {
            Some(client) => client,
            None => HttpClient::connect(self.address)
                .await
                .with_context(|| format!("connect to the API at {}", self.address))?,
        };
        let line = format!("{method} {path}");
        let (headers, body): (&[(&str, &str)], &[u8]) = match method {
            "POST" => (&[("content-type", "application/json")], b"{}"),
            _ => (&[], b""),
        };
        let response = client
            .exchange(&line, headers, body)
            .await
            .with_context(|| format!("ask for {path}"))?;
        let found = match response.status() {
            Some(200) => Some(response.body),
            Some(404) => None,
            Some(_) | None => {
                let said = String::from_utf8_lossy(&response.body).into_owned();
                bail!("{path}: {} {said}", response.line);
            }
        };
        self.open = Some(client);
        Ok(found)
    }
}

fn absent(path: &str) -> String {
    format!("{path}: there is no such thing")
}
