//! Kept connections of the client.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use hilum_component::{BlobReader, DeliveryError};
use hilum_message::{Payload, Piece};
use hilum_net::Connector;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;

use crate::endpoint;

/// How much of a blob is read at once.
const BLOB_CHUNK: usize = 64 * 1024;

pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A connection; closed when dropped.
pub(crate) struct Line {
    sender: SendRequest<Body>,
    driver: JoinHandle<()>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Connections that are not in use.
pub(crate) struct Pool {
    connector: Connector,
    kept: Mutex<Vec<Line>>,
    max: usize,
}

impl Pool {
    pub(crate) const fn new(connector: Connector, max: usize) -> Self {
        Self {
            connector,
            kept: Mutex::new(Vec::new()),
            max,
        }
    }

    pub(crate) const fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Sends a request on a kept connection, or on a new one if that is gone. What was not sent
    /// at all on a kept connection is sent on a new one.
    pub(crate) async fn send(
        &self,
        mut request: Request<Body>,
    ) -> Result<(Response<Incoming>, Line), DeliveryError> {
        while let Some(mut line) = self.take() {
            if line.sender.ready().await.is_err() {
                continue;
            }
            match line.sender.try_send_request(request).await {
                Ok(response) => return Ok((response, line)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(self.failed(error.error())),
                },
            }
        }
        let mut line = self.connect().await?;
        match line.sender.send_request(request).await {
            Ok(response) => Ok((response, line)),
            Err(error) => Err(self.failed(&error)),
        }
    }

    pub(crate) fn keep(&self, line: Line) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if !line.sender.is_closed() && kept.len() < self.max {
            kept.push(line);
        }
    }

    pub(crate) fn clear(&self) {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    fn take(&self) -> Option<Line> {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
    }

    async fn connect(&self) -> Result<Line, DeliveryError> {
        let connection = self.connector.connect().await;
        let connection = connection.map_err(|error| endpoint::delivery_error(&error))?;
        let (sender, driver) = http1::handshake(TokioIo::new(connection.stream))
            .await
            .map_err(|error| self.failed(&error))?;
        let driver = tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, "a connection ended");
            }
        });
        Ok(Line { sender, driver })
    }

    fn failed(&self, error: &hyper::Error) -> DeliveryError {
        let what = if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
            "closed the connection before it answered"
        } else if error.is_parse() || error.is_parse_too_large() {
            let text = format!("{} does not answer in HTTP/1.1", self.connector.address());
            return DeliveryError::halt("http-unreadable", text);
        } else {
            "broke the connection before it answered"
        };
        DeliveryError::retry(
            "connection-closed",
            format!("{} {what}", self.connector.address()),
        )
        .hint("the peer may not know the message: see its log for the time of the attempt")
    }
}

/// A body that is in memory.
pub(crate) fn inline(bytes: Bytes) -> Body {
    Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// The body of a delivery; blobs are read as it is sent.
pub(crate) fn body(payload: &Payload, blobs: &Arc<dyn BlobReader>) -> Body {
    if let Some(bytes) = payload.as_inline() {
        return inline(bytes.clone());
    }
    let blobs = Arc::clone(blobs);
    let frames = stream::iter(payload.pieces()).flat_map(move |piece| match piece {
        Piece::Inline(bytes) => stream::once(async { Ok(Frame::data(bytes)) }).boxed(),
        Piece::Blob(range) => {
            let blobs = Arc::clone(&blobs);
            let chunks = stream::try_unfold(0, move |offset| {
                let (blobs, range) = (Arc::clone(&blobs), range.clone());
                async move {
                    if offset >= range.length {
                        return Ok(None);
                    }
                    let chunk = blobs.read(&range, offset, BLOB_CHUNK).await?;
                    if chunk.is_empty() {
                        return Err(io::Error::other("a blob is shorter than its range"));
                    }
                    let next = offset + chunk.len() as u64;
                    Ok(Some((Frame::data(chunk), next)))
                }
            });
            chunks.boxed()
        }
    });
    StreamBody::new(frames).boxed_unsync()
}
