//! Where in the packed file what stands (`xtask/src/codegen/terminology/shipped.py` writes it).

use std::io::Read;
use std::sync::OnceLock;

use flate2::read::ZlibDecoder;
use hilum_fhir::{Limits, Resource, json};

static PACKED: &[u8] = include_bytes!("../generated/shipped.bin");

/// A definition in the packed file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// The canonical URL; of a naming system its name.
    pub(super) url: &'static str,
    /// The version, or nothing.
    pub(super) version: &'static str,
    /// The OID of a code system, or nothing.
    pub(super) oid: &'static str,
    chunk: usize,
    offset: usize,
    length: usize,
}

/// The packed bytes of a chunk, and how many it unpacks to.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    bytes: &'static [u8],
    length: usize,
}

/// All definitions, sorted.
#[derive(Debug, Default)]
pub(super) struct Index {
    chunks: Vec<Chunk>,
    lines: Vec<&'static str>,
}

/// Unpacked when something is first asked for.
pub(super) fn index() -> &'static Index {
    static TEXT: OnceLock<String> = OnceLock::new();
    static INDEX: OnceLock<Index> = OnceLock::new();
    INDEX.get_or_init(|| {
        let text = TEXT.get_or_init(|| text().unwrap_or_default());
        Index::read(text)
    })
}

/// The text of the index. The file is part of the program, and a test reads all of it.
fn text() -> Option<String> {
    let (length, rest) = PACKED.split_first_chunk::<4>()?;
    let packed = rest.get(..u32::from_le_bytes(*length) as usize)?;
    let mut text = String::new();
    ZlibDecoder::new(packed).read_to_string(&mut text).ok()?;
    Some(text)
}

impl Index {
    fn read(text: &'static str) -> Self {
        let mut index = Self::default();
        let start = PACKED.split_first_chunk::<4>();
        let start = start.map_or(0, |(length, _)| 4 + u32::from_le_bytes(*length) as usize);
        for line in text.lines() {
            let Some(place) = line.strip_prefix("#\t") else {
                index.lines.push(line);
                continue;
            };
            let mut numbers = place.split('\t').map(|text| text.parse().unwrap_or(0));
            let mut next = || numbers.next().unwrap_or(0);
            let (at, packed, length) = (next(), next(), next());
            let from = start + at;
            let bytes = PACKED.get(from..from + packed).unwrap_or_default();
            index.chunks.push(Chunk { bytes, length });
        }
        index
    }

    /// The definitions of a kind with a URL, oldest version first as text.
    pub(super) fn find(&self, kind: &str, url: &str) -> Vec<Row> {
        let prefix = format!("{kind}\t{url}\t");
        self.starting(&prefix)
    }

    /// All definitions of a kind.
    pub(super) fn all(&self, kind: &str) -> Vec<Row> {
        self.starting(&format!("{kind}\t"))
    }

    fn starting(&self, prefix: &str) -> Vec<Row> {
        let from = self.lines.partition_point(|line| *line < prefix);
        let lines = self.lines.get(from..).unwrap_or_default();
        let fitting = lines.iter().take_while(|line| line.starts_with(prefix));
        fitting.filter_map(|line| row(line)).collect()
    }

    /// The resources of rows; each chunk is unpacked once, if those of one stand together.
    pub(super) fn resources(&self, rows: &[Row]) -> Vec<Resource> {
        let mut open: Option<(usize, Vec<u8>)> = None;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            if open.as_ref().is_none_or(|(at, _)| *at != row.chunk) {
                open = Some((row.chunk, self.unpacked(row.chunk)));
            }
            let bytes = open.as_ref().map_or(&[][..], |(_, bytes)| bytes);
            let bytes = bytes.get(row.offset..row.offset + row.length);
            let resource = bytes.and_then(|bytes| json::parse(bytes, &Limits::default()).ok());
            found.extend(resource);
        }
        found
    }

    fn unpacked(&self, chunk: usize) -> Vec<u8> {
        let Some(chunk) = self.chunks.get(chunk) else {
            return Vec::new();
        };
        let mut bytes = Vec::with_capacity(chunk.length);
        match ZlibDecoder::new(chunk.bytes).read_to_end(&mut bytes) {
            Ok(_) => bytes,
            Err(_) => Vec::new(),
        }
    }
}

fn row(line: &'static str) -> Option<Row> {
    let mut parts = line.split('\t').skip(1);
    let url = parts.next()?;
    let version = parts.next()?;
    let mut number = || parts.next()?.parse().ok();
    let (chunk, offset, length) = (number()?, number()?, number()?);
    Some(Row {
        url,
        version,
        oid: parts.next().unwrap_or_default(),
        chunk,
        offset,
        length,
    })
}
