//! A FHIR client as light as a load generator wants it.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use hilum_testkit::http::{HttpClient, HttpMessage};
use serde_json::Value;

const JSON: &str = "application/fhir+json";

/// One connection to the base of a FHIR server.
#[derive(Debug)]
pub(in crate::bench) struct Fhir {
    address: SocketAddr,
    open: Option<HttpClient>,
}

impl Fhir {
    pub(in crate::bench) const fn new(address: SocketAddr) -> Self {
        Self {
            address,
            open: None,
        }
    }

    /// Sends a request and gives whatever comes back.
    pub(in crate::bench) async fn call(
        &mut self,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> Result<HttpMessage> {
        let mut client = match self.open.take() {
            Some(client) => client,
            None => HttpClient::connect(self.address)
                .await
                .with_context(|| format!("connect to {}", self.address))?,
        };
        let headers: &[(&str, &str)] = if body.is_empty() {
            &[("accept", JSON)]
        } else {
            &[
                ("accept", JSON),
                ("content-type", JSON),
                ("prefer", "return=minimal"),
            ]
        };
        let line = format!("{method} /fhir/{path}");
        let response = client
            .exchange(&line, headers, body)
            .await
            .with_context(|| format!("{method} {path}"))?;
        self.open = Some(client);
        Ok(response)
    }

    /// As [`Fhir::call`], where only one of these statuses will do.
    pub(in crate::bench) async fn expect(
        &mut self,
        method: &str,
        path: &str,
        body: &[u8],
        statuses: &[u16],
    ) -> Result<HttpMessage> {
        let response = self.call(method, path, body).await?;
        if response
            .status()
            .is_some_and(|status| statuses.contains(&status))
        {
            return Ok(response);
        }
        let said: String = String::from_utf8_lossy(&response.body)
            .chars()
            .take(600)
            .collect();
        bail!("{method} {path}: {} {said}", response.line)
    }

    /// The body of a path.
    pub(in crate::bench) async fn get(&mut self, path: &str) -> Result<Bytes> {
        Ok(self.expect("GET", path, b"", &[200]).await?.body)
    }

    /// The body of a path, read.
    pub(in crate::bench) async fn json(&mut self, path: &str) -> Result<Value> {
        let body = self.get(path).await?;
        serde_json::from_slice(&body).with_context(|| format!("read what {path} gives"))
    }
}
