//! The endpoint of a rest-hook: one request, one answer, on a connection of its own.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use hilum_component::DeliveryError;
use hilum_net::{ClientTls, ClientTlsOptions, ConnectOptions, Connector, HostPort};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::Full;
use hyper_util::rt::TokioIo;

use super::allow::port;

/// An endpoint that may be called.
#[derive(Debug)]
pub(crate) struct Hook {
    uri: Uri,
    connector: Connector,
    headers: Vec<(HeaderName, HeaderValue)>,
    within: Duration,
}

impl Hook {
    pub(super) fn new(
        uri: Uri,
        headers: Vec<(HeaderName, HeaderValue)>,
        within: Duration,
    ) -> Result<Self, &'static str> {
        let host = uri.host().unwrap_or_default();
        let address = HostPort {
            host: host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned(),
            port: port(&uri),
        };
        let mut options = ConnectOptions::new(address);
        if uri.scheme_str() == Some("https") {
            options.tls = Some(tls().ok_or("this machine has no authorities to trust")?);
        }
        let connector =
            Connector::new(options).map_err(|_| "the host of the endpoint cannot be verified")?;
        Ok(Self {
            uri,
            connector,
            headers,
            within,
        })
    }

    /// Gives everything that it depends on.
    pub(super) fn describe(&self, sink: &mut dyn FnMut(&[u8])) {
        sink(self.uri.to_string().as_bytes());
        for (name, value) in &self.headers {
            sink(name.as_str().as_bytes());
            sink(value.as_bytes());
        }
        sink(&self.within.as_millis().to_le_bytes());
    }

    /// For people: a query may hold a key.
    pub(super) fn address(&self) -> String {
        let authority = self
            .uri
            .authority()
            .map_or("", http::uri::Authority::as_str);
        let scheme = self.uri.scheme_str().unwrap_or("http");
        format!("{scheme}://{authority}{}", self.uri.path())
    }

    pub(super) const fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Sends a body of a media type to the endpoint, or to a path below it.
    pub(super) async fn send(
        &self,
        method: Method,
        below: Option<&str>,
        content: Option<(HeaderValue, Bytes)>,
        delivery: Option<&str>,
    ) -> Result<StatusCode, DeliveryError> {
        let asked = self.once(method, below, content, delivery);
        let status = tokio::time::timeout(self.within, asked)
            .await
            .map_err(|_| {
                let within = self.within.as_secs_f64();
                let text = format!("{} did not answer within {within} s", self.address());
                DeliveryError::retry("answer-timeout", text)
            })??;
        if status.is_success() {
            return Ok(status);
        }
        let text = format!("{} answered {}", self.address(), status.as_u16());
        Err(match status.as_u16() {
            // The notification is at fault, and will be so the next time.
            400 | 413 | 415 | 422 => DeliveryError::reject("hook-refused", text),
            _ => DeliveryError::retry("hook-status", text),
        })
    }

    async fn once(
        &self,
        method: Method,
        below: Option<&str>,
        content: Option<(HeaderValue, Bytes)>,
        delivery: Option<&str>,
    ) -> Result<StatusCode, DeliveryError> {
        let connection = self
            .connector
            .connect()
            .await
            .map_err(|error| DeliveryError::retry(error.code(), error.chain()))?;
        let broken = |_| {
            let text = format!("{} broke the connection before it answered", self.address());
            DeliveryError::retry("connection-closed", text)
        };
        let (mut sender, driver) =
            hyper::client::conn::http1::handshake(TokioIo::new(connection.stream))
                .await
                .map_err(broken)?;
        let driver = tokio::spawn(driver);
        let request = self.request(method, below, content, delivery)?;
        let response = sender.send_request(request).await;
        // The answer says all in its head; its body is not read.
        driver.abort();
        response.map(|response| response.status()).map_err(broken)
    }

    fn request(
        &self,
        method: Method,
        below: Option<&str>,
        content: Option<(HeaderValue, Bytes)>,
        delivery: Option<&str>,
    ) -> Result<Request<Full<Bytes>>, DeliveryError> {
        let path = self.uri.path().trim_end_matches('/');
        let query = self.uri.query().map(|query| format!("?{query}"));
        let query = query.unwrap_or_default();
        let target = match below {
            Some(below) => format!("{path}/{below}{query}"),
            None => format!("{}{query}", self.uri.path()),
        };
        let authority = self
            .uri
            .authority()
            .map_or("", http::uri::Authority::as_str);
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header(header::HOST, authority)
            .header(header::USER_AGENT, "hilum");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(delivery) = delivery {
            request = request.header("x-hilum-delivery", delivery);
        }
        let (kind, body) = content.unzip();
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        } else {
            request = request.header(header::CONTENT_LENGTH, 0);
        }
        request
            .body(Full::new(body.unwrap_or_default()))
            .map_err(|error| DeliveryError::halt("http-request", error.to_string()))
    }
}

/// The authorities of the operating system, read once.
fn tls() -> Option<Arc<ClientTls>> {
    static TLS: LazyLock<Option<Arc<ClientTls>>> = LazyLock::new(|| {
        let loaded = ClientTls::load(ClientTlsOptions::default());
        loaded.map(Arc::new).ok()
    });
    TLS.clone()
}
