//! A client of the FHIR server of a running node: HTTP/1.1, one request a connection.
//!
//! Where the server is, the node's management API says. Files go out and come in as streams.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context as Wake, Poll};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use hilum_net::{ConnectOptions, Connector, HostPort};
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_util::rt::TokioIo;
use serde_json::Value;

use crate::args::FhirNode;
use crate::command::node::{Remote, part};

/// How long an answer that is no file may take; an erasure waits a minute.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);
/// Bytes of such an answer.
const ANSWER_BYTES_MAX: usize = 80_000_000;
/// Bytes of a file that are sent at once.
const PIECE_BYTES: usize = 128 * 1024;
/// Between two looks at a job.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The FHIR server of a node, one of its tenants.
pub(in crate::command) struct Server {
    at: HostPort,
    /// The path of the tenant.
    base: String,
    runtime: tokio::runtime::Runtime,
}

/// An answer that is no file.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

type Outgoing = BoxBody<Bytes, std::io::Error>;

impl Server {
    /// The server of the node that the arguments name.
    pub(in crate::command) fn of(node: &FhirNode) -> anyhow::Result<Self> {
        let at = &node.node.at;
        let status = Remote::new(at)?.get("/api/v1/status")?;
        let Some(url) = status["fhir"].as_str() else {
            bail!("the node at {at} has no FHIR server; write `fhir: {{}}` in its hilum.yaml");
        };
        let place = url.trim_start_matches("http://");
        let (authority, path) = place.split_once('/').unwrap_or((place, "fhir"));
        let base = match &node.tenant {
            Some(tenant) => format!("/{path}/t/{}", part(tenant)),
            None => format!("/{path}"),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the I/O thread")?;
        Ok(Self {
            at: authority.parse()?,
            base,
            runtime,
        })
    }

    /// The server and its tenant, to know them again.
    pub(super) fn place(&self) -> String {
        format!("{}{}", self.at, self.base)
    }

    /// The path below the tenant of a URL that the server gave.
    pub(in crate::command) fn path<'u>(&self, url: &'u str) -> anyhow::Result<&'u str> {
        let path = url.split_once("://").map_or(url, |(_, rest)| rest);
        let at = path.find(&self.base);
        at.and_then(|at| path.get(at + self.base.len()..))
            .with_context(|| format!("the server named a URL of another place: {url}"))
    }

    /// What comes of a request with a body that is in memory.
    pub(super) fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> anyhow::Result<Answer> {
        let body = Full::new(Bytes::from(body)).map_err(|never| match never {});
        self.runtime.block_on(async {
            let asked = self.answered(method, path, headers, body.boxed());
            tokio::time::timeout(ANSWER_WITHIN, asked)
                .await
                .context("the FHIR server did not answer in time")?
        })
    }

    /// The bytes that a path gives, with every digit; none if nothing is there.
    pub(in crate::command) fn content(&self, path: &str) -> anyhow::Result<Option<Bytes>> {
        let body = Full::new(Bytes::new()).map_err(|never| match never {});
        let asked = async {
            let request = self.send_request(Method::GET, path, &[], body.boxed());
            let (head, body) = request.await?.into_parts();
            let whole = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let whole = whole.map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?;
            match head.status {
                StatusCode::NOT_FOUND | StatusCode::GONE => Ok(None),
                status if status.is_success() => Ok(Some(whole.to_bytes())),
                status => bail!("the FHIR server answered {status}"),
            }
        };
        self.runtime.block_on(async {
            tokio::time::timeout(ANSWER_WITHIN, asked)
                .await
                .context("the FHIR server did not answer in time")?
        })
    }

    /// As [`Server::ask`]; a status that is no success is an error with what the server says.
    pub(super) fn good(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> anyhow::Result<Answer> {
        let answer = self.ask(method, path, headers, body)?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        bail!("{}", said(&answer))
    }

    /// Sends a file as the body of a request.
    pub(super) fn send(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        file: &Path,
    ) -> anyhow::Result<Answer> {
        let reads = || format!("cannot read {}", file.display());
        let opened = File::open(file).with_context(reads)?;
        let left = opened.metadata().with_context(reads)?.len();
        let body = FileBody { file: opened, left }.boxed();
        let answer = self
            .runtime
            .block_on(self.answered(Method::POST, path, headers, body))?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        bail!("{}: {}", file.display(), said(&answer))
    }

    /// Writes what a path gives into a file, synced; gives the number of lines.
    pub(super) fn fetch(&self, path: &str, to: &Path) -> anyhow::Result<u64> {
        let writes = || format!("cannot write {}", to.display());
        let mut file = File::create(to).with_context(writes)?;
        let lines = self.runtime.block_on(async {
            let body = Full::new(Bytes::new()).map_err(|never| match never {});
            let response = self
                .send_request(Method::GET, path, &[], body.boxed())
                .await?;
            if !response.status().is_success() {
                let answer = read(response).await?;
                bail!("{}", said(&answer));
            }
            let mut body = response.into_body();
            let mut lines = 0;
            while let Some(frame) = body.frame().await {
                let frame =
                    frame.context("the file broke off; the same command goes on with it")?;
                let Ok(bytes) = frame.into_data() else {
                    continue;
                };
                lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
                file.write_all(&bytes).with_context(writes)?;
            }
            Ok(lines)
        })?;
        file.sync_all().with_context(writes)?;
        Ok(lines)
    }

    /// Waits until a job is done; tells how far it is. Gives its answer.
    pub(super) fn ended(&self, status: &str, mut tell: impl FnMut(&str)) -> anyhow::Result<Answer> {
        loop {
            let answer = self.ask(Method::GET, status, &[], String::new())?;
            if answer.status != StatusCode::ACCEPTED {
                return Ok(answer);
            }
            let progress = answer.headers.get("x-progress");
            tell(
                progress
                    .and_then(|text| text.to_str().ok())
                    .unwrap_or_default(),
            );
            self.runtime
                .block_on(async { tokio::time::sleep(LOOK_EVERY).await });
        }
    }

    async fn answered(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Outgoing,
    ) -> anyhow::Result<Answer> {
        read(self.send_request(method, path, headers, body).await?).await
    }

    async fn send_request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Outgoing,
    ) -> anyhow::Result<Response<Incoming>> {
        let connector = Connector::new(ConnectOptions::new(self.at.clone()))?;
        let connection = connector
            .connect()
            .await
            .with_context(|| format!("no FHIR server answers at {}", self.at))?;
        let io = TokioIo::new(connection.stream);
        let (mut sender, driver) = hyper::client::conn::http1::handshake(io).await?;
        // Its end is seen by the request too.
        tokio::spawn(driver);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::HOST, self.at.to_string())
            .header(
                header::ACCEPT,
                "application/fhir+json, application/fhir+ndjson",
            );
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = sender.send_request(request.body(body)?).await;
        response.with_context(|| format!("{} gave no answer", self.at))
    }
}

async fn read(response: Response<Incoming>) -> anyhow::Result<Answer> {
    let (head, body) = response.into_parts();
    let whole = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let whole = whole.map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?;
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body: serde_json::from_slice(&whole.to_bytes()).unwrap_or_default(),
    })
}

/// What an OperationOutcome says.
pub(super) fn said(answer: &Answer) -> String {
    let issues = answer.body["issue"].as_array();
    let told: Vec<&str> = issues
        .into_iter()
        .flatten()
        .filter_map(|issue| {
            issue["diagnostics"]
                .as_str()
                .or(issue["details"]["text"].as_str())
        })
        .collect();
    if told.is_empty() {
        format!("the FHIR server answered {}", answer.status)
    } else {
        told.join("\n")
    }
}

/// A file as it is sent. It is read on the thread that sends: there is nothing else to do.
struct FileBody {
    file: File,
    left: u64,
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Wake<'_>,
    ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let most = usize::try_from(self.left).unwrap_or(PIECE_BYTES);
        let mut piece = vec![0; most.min(PIECE_BYTES)];
        Poll::Ready(Some(self.file.read(&mut piece).and_then(|read| {
            if read == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            piece.truncate(read);
            self.left -= read as u64;
            Ok(Frame::data(piece.into()))
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
