//! gzip and zstd, both ways, bounded.

use std::io::{Read, Write};

use http::{HeaderMap, header};

use super::format::{thousandths, unsupported};
use crate::fault::Fault;

/// Bodies below this are not packed.
pub(crate) const PACK_BYTES_MIN: usize = 1_024;
/// A level that packs faster than a network carries.
const ZSTD_LEVEL: i32 = 1;
/// The largest window of a zstd body: 8 MB, as browsers and RFC 8878 recommend.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// How bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Zstd,
}

impl Coding {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    fn named(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// How the answer may be packed; nothing where the client says nothing. zstd before gzip at the
/// same quality.
pub(crate) fn accepted(headers: &HeaderMap) -> Option<Coding> {
    let mut best: Option<(u16, Coding)> = None;
    for value in headers.get_all(header::ACCEPT_ENCODING) {
        for range in value.to_str().unwrap_or_default().split(',') {
            let (name, rest) = range.split_once(';').unwrap_or((range, ""));
            let quality = rest.trim().strip_prefix("q=").map_or(1000, thousandths);
            let Some(coding) = Coding::named(name).filter(|_| quality > 0) else {
                continue;
            };
            let better = best.is_none_or(|(known, other)| {
                quality > known || (quality == known && other == Coding::Gzip)
            });
            if better {
                best = Some((quality, coding));
            }
        }
    }
    best.map(|(_, coding)| coding)
}

/// How the body of a request is packed.
pub(crate) fn sent(headers: &HeaderMap) -> Result<Option<Coding>, Fault> {
    let Some(value) = headers.get(header::CONTENT_ENCODING) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    if text.trim().eq_ignore_ascii_case("identity") {
        return Ok(None);
    }
    Coding::named(text)
        .map(Some)
        .ok_or_else(|| unsupported("`Content-Encoding` is neither gzip nor zstd"))
}

/// Unpacks a body, at most so many bytes.
pub(crate) fn unpack(coding: Coding, bytes: &[u8], bytes_max: usize) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::with_capacity(bytes.len().saturating_mul(3).min(bytes_max));
    let room = u64::try_from(bytes_max)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let read = match coding {
        Coding::Gzip => flate2::read::MultiGzDecoder::new(bytes)
            .take(room)
            .read_to_end(&mut out),
        Coding::Zstd => zstd::stream::read::Decoder::with_buffer(bytes).and_then(|mut decoder| {
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            decoder.take(room).read_to_end(&mut out)
        }),
    };
    if read.is_err() {
        let text = format!(
            "the body is not {}, as `Content-Encoding` says",
            coding.name()
        );
        return Err(Fault::bad(hilum_fhir::IssueType::Structure, text));
    }
    if out.len() > bytes_max {
        return Err(Fault::too_large(bytes_max));
    }
    Ok(out)
}

/// Packs a body; `None` if it cannot be done.
pub(crate) fn pack(coding: Coding, bytes: &[u8]) -> Option<Vec<u8>> {
    match coding {
        Coding::Gzip => {
            let out = Vec::with_capacity(bytes.len() / 4);
            let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::fast());
            encoder.write_all(bytes).ok()?;
            encoder.finish().ok()
        }
        Coding::Zstd => zstd::bulk::compress(bytes, ZSTD_LEVEL).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked_up_to_the_limit() {
        let bytes = vec![b'x'; 100_000];
        for coding in [Coding::Gzip, Coding::Zstd] {
            let packed = pack(coding, &bytes).unwrap();
            assert!(packed.len() < 1_000);
            assert_eq!(unpack(coding, &packed, 100_000).unwrap(), bytes);
            let fault = unpack(coding, &packed, 99_999).unwrap_err();
            assert_eq!(fault.status, http::StatusCode::PAYLOAD_TOO_LARGE);
            assert!(unpack(coding, b"no such thing", 100).is_err());
            let torn = &packed[..packed.len() - 3];
            assert!(unpack(coding, torn, 100_000).is_err());
        }
    }

    #[test]
    fn answers_are_packed_as_the_client_likes_it_best() {
        for (text, expected) in [
            ("", None),
            ("br", None),
            ("gzip, deflate, br", Some(Coding::Gzip)),
            ("gzip, zstd", Some(Coding::Zstd)),
            ("gzip;q=1.0, zstd;q=0.5", Some(Coding::Gzip)),
            ("gzip;q=0", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, text.parse().unwrap());
            assert_eq!(accepted(&headers), expected, "{text}");
        }
    }
}
