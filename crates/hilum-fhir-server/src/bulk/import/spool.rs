//! The body of a request on its way to a file: unpacked piece by piece, never as a whole in memory.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use http::{StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use hilum_db::{AppendFile, Files};
use hilum_fhir::IssueType;

use crate::fault::Fault;
use crate::jobs::blocking;
use crate::limits::Limits;
use crate::request::Coding;

/// The largest window of a zstd body, as for every body.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Writes a body to a file, in place of one that was left half written; returns when it is on disk.
pub(super) async fn body(
    limits: &Limits,
    files: Arc<dyn Files>,
    mut body: Incoming,
    coding: Option<Coding>,
    path: PathBuf,
) -> Result<(), Fault> {
    let (made, folder) = (files.clone(), path.clone());
    let file = blocking(move || {
        made.remove(&path)?;
        made.create(&path)
    })
    .await?;
    let mut sink = Sink {
        unpacker: Unpacker::new(coding)?,
        file,
        bytes: 0,
        bytes_max: limits.import_bytes_max,
    };
    loop {
        let frame = tokio::time::timeout(limits.body_within, body.frame()).await;
        let frame = frame.map_err(|_| {
            let text = format!("nothing of the body came for {:?}", limits.body_within);
            Fault::new(StatusCode::REQUEST_TIMEOUT, IssueType::Timeout, text)
                .with(header::CONNECTION, "close")
        })?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|_| Fault::bad(IssueType::Structure, "the body ended early"))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let (next, pushed) = blocking(move || {
            let pushed = sink.push(&data);
            Ok((sink, pushed))
        })
        .await?;
        sink = next;
        pushed?;
    }
    blocking(move || {
        let finished = sink.finish();
        if finished.is_ok() {
            files.sync_dir(folder.parent().unwrap_or(&folder))?;
        }
        Ok(finished)
    })
    .await?
}

struct Sink {
    unpacker: Unpacker,
    file: Box<dyn AppendFile>,
    bytes: u64,
    bytes_max: u64,
}

impl Sink {
    fn push(&mut self, data: &[u8]) -> Result<(), Fault> {
        let out = self.unpacker.unpack(data)?;
        self.write(&out)
    }

    fn write(&mut self, out: &[u8]) -> Result<(), Fault> {
        self.bytes += out.len() as u64;
        if self.bytes > self.bytes_max {
            let text = format!("the body exceeds {} bytes", self.bytes_max);
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            let fault = Fault::new(status, IssueType::TooLong, text);
            return Err(fault.with(header::CONNECTION, "close"));
        }
        self.file.append(out).map_err(|error| failed(&error))
    }

    fn finish(mut self) -> Result<(), Fault> {
        let out = self.unpacker.finish()?;
        self.write(&out)?;
        self.file.sync().map_err(|error| failed(&error))
    }
}

fn failed(error: &io::Error) -> Fault {
    if error.kind() == io::ErrorKind::StorageFull {
        let status = StatusCode::INSUFFICIENT_STORAGE;
        return Fault::new(status, IssueType::NoStore, "the disk is full");
    }
    tracing::error!(%error, "a body that is imported cannot be written");
    Fault::failed("the body cannot be written")
}

enum Unpacker {
    Plain,
    Gzip(Box<flate2::write::MultiGzDecoder<Vec<u8>>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Vec<u8>>>),
}

impl Unpacker {
    fn new(coding: Option<Coding>) -> Result<Self, Fault> {
        Ok(match coding {
            None => Self::Plain,
            Some(Coding::Gzip) => {
                Self::Gzip(Box::new(flate2::write::MultiGzDecoder::new(Vec::new())))
            }
            Some(Coding::Zstd) => {
                let decoder = zstd::stream::write::Decoder::new(Vec::new());
                let mut decoder = decoder.map_err(|_| broken())?;
                let window = decoder.window_log_max(ZSTD_WINDOW_LOG_MAX);
                window.map_err(|_| broken())?;
                Self::Zstd(Box::new(decoder))
            }
        })
    }

    fn unpack(&mut self, data: &[u8]) -> Result<Vec<u8>, Fault> {
        match self {
            Self::Plain => Ok(data.to_vec()),
            Self::Gzip(decoder) => {
                decoder.write_all(data).map_err(|_| broken())?;
                Ok(std::mem::take(decoder.get_mut()))
            }
            Self::Zstd(decoder) => {
                decoder.write_all(data).map_err(|_| broken())?;
                Ok(std::mem::take(decoder.get_mut()))
            }
        }
    }

    fn finish(&mut self) -> Result<Vec<u8>, Fault> {
        match self {
            Self::Plain => Ok(Vec::new()),
            Self::Gzip(decoder) => {
                decoder.try_finish().map_err(|_| broken())?;
                Ok(std::mem::take(decoder.get_mut()))
            }
            Self::Zstd(decoder) => {
                decoder.flush().map_err(|_| broken())?;
                Ok(std::mem::take(decoder.get_mut()))
            }
        }
    }
}

fn broken() -> Fault {
    let text = "the body is not packed as `Content-Encoding` says";
    Fault::bad(IssueType::Structure, text)
}
