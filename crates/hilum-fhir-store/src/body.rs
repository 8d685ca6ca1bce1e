//! Bodies: how they are kept, and how version and time are put in again.

use std::cell::RefCell;
use std::io;
use std::thread::LocalKey;

use bytes::Bytes;
use hilum_message::calendar::date_of;
use zstd::bulk::{Compressor, Decompressor};

use crate::content::{Apart, ContentId};
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
    /// In front of the bytes stands what is apart.
    pub(super) const APART: i64 = 2;
    /// In front of everything stands what its writer keeps with it.
    pub(super) const BESIDE: i64 = 4;
}

/// Bytes that say where one content stands in a body.
const APART_BYTES: usize = 24;

/// A body as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) codec: i64,
    /// Place of the splice and its two flags in one number.
    pub(crate) splice: i64,
    /// Length when unpacked, with what is apart.
    pub(crate) len: i64,
    pub(crate) bytes: Vec<u8>,
    /// The contents that it names.
    pub(crate) contents: Vec<i64>,
}

impl Kept {
    /// Packs a body.
    pub(crate) fn pack(body: &Body) -> io::Result<Self> {
        let splice =
            i64::from(body.splice) << 2 | i64::from(body.wrap) << 1 | i64::from(body.comma);
        let (mut codec, mut bytes) = pack_part(&body.bytes)?;
        if !body.apart.is_empty() {
            codec |= codec::APART;
            bytes = [head(body), bytes].concat();
        }
        if !body.beside.is_empty() {
            codec |= codec::BESIDE;
            let length = (body.beside.len() as u32).to_le_bytes();
            bytes = [&length, &body.beside[..], &bytes].concat();
        }
        Ok(Self {
            codec,
            splice,
            len: i64::try_from(body.len()).unwrap_or(i64::MAX),
            bytes,
            contents: body.apart.iter().map(|apart| apart.content.0).collect(),
        })
    }
}

/// What is apart, as it stands in front of the bytes of a body: how many, then place, length of the
/// stand-in, number and length of each.
fn head(body: &Body) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + body.apart.len() * APART_BYTES);
    out.extend_from_slice(&(body.apart.len() as u32).to_le_bytes());
    for apart in &body.apart {
        out.extend_from_slice(&apart.at.to_le_bytes());
        out.extend_from_slice(&apart.span.to_le_bytes());
        out.extend_from_slice(&apart.content.0.to_le_bytes());
        out.extend_from_slice(&apart.bytes.to_le_bytes());
    }
    out
}

/// Reads what [`head`] wrote; also the bytes behind it.
fn read_head(bytes: &[u8]) -> Option<(Vec<Apart>, &[u8])> {
    let (count, rest) = bytes.split_first_chunk()?;
    let length = (u32::from_le_bytes(*count) as usize).checked_mul(APART_BYTES)?;
    let (entries, rest) = rest.split_at_checked(length)?;
    let entry = |entry: &[u8]| {
        let (at, entry) = entry.split_first_chunk()?;
        let (span, entry) = entry.split_first_chunk()?;
        let (content, entry) = entry.split_first_chunk()?;
        Some(Apart {
            at: u32::from_le_bytes(*at),
            span: u32::from_le_bytes(*span),
            content: ContentId(i64::from_le_bytes(*content)),
            bytes: u64::from_le_bytes(*entry.first_chunk()?),
        })
    };
    let entries: Option<Vec<Apart>> = entries.chunks_exact(APART_BYTES).map(entry).collect();
    Some((entries?, rest))
}

/// What the writer keeps with a body, and the bytes behind it.
fn read_beside(codec: i64, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if codec & codec::BESIDE == 0 {
        return Some((&[], bytes));
    }
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

/// The contents that a packed body names.
pub(crate) fn contents(codec: i64, bytes: &[u8]) -> Vec<i64> {
    if codec & codec::APART == 0 {
        return Vec::new();
    }
    let (_, bytes) = read_beside(codec, bytes).unwrap_or_default();
    let (entries, _) = read_head(bytes).unwrap_or_default();
    entries.iter().map(|apart| apart.content.0).collect()
}

/// Whether [`contents`] may find some.
pub(crate) const CODEC_APART: i64 = codec::APART;

/// Packs bytes; also how.
pub(crate) fn pack_part(bytes: &[u8]) -> io::Result<(i64, Vec<u8>)> {
    if bytes.len() < PLAIN_BELOW {
        return Ok((codec::PLAIN, bytes.to_vec()));
    }
    let packed = with_tool(
        &PACKER,
        || Compressor::new(LEVEL),
        |tool| tool.compress(bytes),
    )?;
    Ok((codec::ZSTD, packed))
}

/// Unpacks what [`pack_part`] packed.
pub(crate) fn unpack_part(codec: i64, len: i64, bytes: Vec<u8>) -> io::Result<Bytes> {
    match codec {
        codec::PLAIN => Ok(bytes.into()),
        _ => unpacked(codec, len, &bytes),
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a body of an unknown kind")
}

fn unpacked(codec: i64, len: i64, bytes: &[u8]) -> io::Result<Bytes> {
    match codec {
        codec::PLAIN => Ok(Bytes::copy_from_slice(bytes)),
        codec::ZSTD => {
            let len = usize::try_from(len).map_err(|_| damaged())?;
            let unpacked = with_tool(&UNPACKER, Decompressor::new, |tool| {
                tool.decompress(bytes, len)
            })?;
            Ok(unpacked.into())
        }
        _ => Err(damaged()),
    }
}

/// Unpacks what [`Kept::pack`] packed.
pub(crate) fn unpack(codec: i64, splice: i64, len: i64, bytes: &[u8]) -> io::Result<Body> {
    let (beside, bytes) = read_beside(codec, bytes).ok_or_else(damaged)?;
    let (apart, bytes) = match codec & codec::APART {
        0 => (Vec::new(), bytes),
        _ => read_head(bytes).ok_or_else(damaged)?,
    };
    let more = |apart: &Apart| apart.bytes as i64 - i64::from(apart.span);
    let len = len - apart.iter().map(more).sum::<i64>();
    Ok(Body {
        bytes: unpacked(codec & !(codec::APART | codec::BESIDE), len, bytes)?,
        splice: u32::try_from(splice >> 2).map_err(|_| damaged())?,
        wrap: splice & 2 != 0,
        comma: splice & 1 != 0,
        apart,
        beside: Bytes::copy_from_slice(beside),
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
        let content = Apart {
            at: 40,
            span: 3,
            content: ContentId(7),
            bytes: 5_000_000_000,
        };
        for (pad, apart, beside) in [
            (0, vec![], &b""[..]),
            (1000, vec![], b""),
            (0, vec![content], b""),
            (1000, vec![content], b""),
            (0, vec![], b"times"),
            (1000, vec![content], b"times"),
        ] {
            let mut bytes = text.clone();
            bytes.extend(std::iter::repeat_n(b' ', pad));
            let body = Body {
                bytes: bytes.into(),
                splice,
                wrap: false,
                comma: true,
                apart: apart.clone(),
                beside: Bytes::from_static(beside),
            };
            let kept = Kept::pack(&body).unwrap();
            assert_eq!(
                unpack(kept.codec, kept.splice, kept.len, &kept.bytes).unwrap(),
                body
            );
            let named: Vec<i64> = apart.iter().map(|apart| apart.content.0).collect();
            assert_eq!(contents(kept.codec, &kept.bytes), named);
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
