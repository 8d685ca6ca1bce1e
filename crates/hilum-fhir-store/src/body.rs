//! Bodies: how they are kept, and how version and time are put in again.

use std::cell::RefCell;
use std::io;
use std::thread::LocalKey;

use bytes::Bytes;
use hilum_message::calendar::date_of;
use zstd::bulk::{Compressor, Decompressor};

use crate::stored::Body;

/// Shorter bodies are kept as they are.
const PLAIN_BELOW: usize = 128;
/// Fast enough to run for every write; a higher level gains little on JSON.
const LEVEL: i32 = 1;

thread_local! {
    /// Making one costs more than packing a body.
    static PACKER: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static UNPACKER: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Runs `work` with the thread's tool, made when it is first needed.
fn with_tool<T, R>(
    place: &'static LocalKey<RefCell<Option<T>>>,
    make: impl FnOnce() -> io::Result<T>,
    work: impl FnOnce(&mut T) -> io::Result<R>,
) -> io::Result<R> {
    place.with_borrow_mut(|place| {
        let mut tool = match place.take() {
            Some(tool) => tool,
            None => make()?,
        };
        let result = work(&mut tool);
        *place = Some(tool);
        result
    })
}

/// How a body is kept, as stored.
mod codec {
    pub(super) const PLAIN: i64 = 0;
    pub(super) const ZSTD: i64 = 1;
}

/// A body as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) codec: i64,
    /// Place of the splice and its two flags in one number.
    pub(crate) splice: i64,
    /// Length when unpacked.
    pub(crate) len: i64,
    pub(crate) bytes: Vec<u8>,
}

impl Kept {
    /// Packs a body.
    pub(crate) fn pack(body: &Body) -> io::Result<Self> {
        let splice =
            i64::from(body.splice) << 2 | i64::from(body.wrap) << 1 | i64::from(body.comma);
        let len = body.bytes.len() as i64;
        let (codec, bytes) = if body.bytes.len() < PLAIN_BELOW {
            (codec::PLAIN, body.bytes.to_vec())
        } else {
            (
                codec::ZSTD,
                with_tool(
                    &PACKER,
                    || Compressor::new(LEVEL),
                    |tool| tool.compress(&body.bytes),
                )?,
            )
        };
        Ok(Self {
            codec,
            splice,
            len,
            bytes,
        })
    }
}

/// Unpacks what [`Kept::pack`] packed.
pub(crate) fn unpack(codec: i64, splice: i64, len: i64, bytes: &[u8]) -> io::Result<Body> {
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "a body of an unknown kind");
    let bytes = match codec {
        codec::PLAIN => Bytes::copy_from_slice(bytes),
        codec::ZSTD => {
            let len = usize::try_from(len).map_err(|_| damaged())?;
            let unpacked = with_tool(&UNPACKER, Decompressor::new, |tool| {
                tool.decompress(bytes, len)
            })?;
            unpacked.into()
        }
        _ => return Err(damaged()),
    };
    Ok(Body {
        bytes,
        splice: u32::try_from(splice >> 2).map_err(|_| damaged())?,
        wrap: splice & 2 != 0,
        comma: splice & 1 != 0,
    })
}

impl Body {
    /// Appends the whole resource with `meta.versionId` and `meta.lastUpdated`.
    pub fn write_with_meta(&self, version: u32, updated_ms: i64, out: &mut Vec<u8>) {
        let at = (self.splice as usize).min(self.bytes.len());
        let (before, after) = self.bytes.split_at(at);
        out.reserve(self.bytes.len() + 80);
        out.extend_from_slice(before);
        if self.wrap {
            out.extend_from_slice(b"\"meta\":{");
        }
        out.extend_from_slice(b"\"versionId\":\"");
        out.extend_from_slice(version.to_string().as_bytes());
        out.extend_from_slice(b"\",\"lastUpdated\":\"");
        instant(updated_ms, out);
        out.push(b'"');
        if self.wrap {
            out.push(b'}');
        }
        if self.comma {
            out.push(b',');
        }
        out.extend_from_slice(after);
    }
}

/// `2026-11-21T20:00:00.000Z` (FHIR R4 datatypes.html#instant).
pub fn instant(ms: i64, out: &mut Vec<u8>) {
    let (days, of_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let (year, month, day) = date_of(days);
    let text = format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        of_day / 3_600_000,
        of_day / 60_000 % 60,
        of_day / 1000 % 60,
        of_day % 1000,
    );
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_survive_packing_and_get_their_meta_back() {
        let text = br#"{"resourceType":"Patient","meta":{"tag":[]},"x":1}"#.to_vec();
        let splice = 34;
        for pad in [0, 1000] {
            let mut bytes = text.clone();
            bytes.extend(std::iter::repeat_n(b' ', pad));
            let body = Body {
                bytes: bytes.into(),
                splice,
                wrap: false,
                comma: true,
            };
            let kept = Kept::pack(&body).unwrap();
            assert_eq!(
                unpack(kept.codec, kept.splice, kept.len, &kept.bytes).unwrap(),
                body
            );
            let mut out = Vec::new();
            body.write_with_meta(3, 1_795_291_200_000, &mut out);
            let out = String::from_utf8(out).unwrap();
            assert!(
                out.starts_with(
                    r#"{"resourceType":"Patient","meta":{"versionId":"3","lastUpdated":"2026-11-21T20:00:00.000Z","tag":[]}"#
                ),
                "{out}"
            );
        }
    }

    #[test]
    fn instants_follow_the_calendar() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            let mut out = Vec::new();
            instant(ms, &mut out);
            assert_eq!(out, text.as_bytes());
        }
    }
}
