//! Reading the files of a zip (PKWARE APPNOTE 6.3): stored and deflated ones, with the 64-bit form
//! that large releases have.
//!
//! The list at the end counts, not what stands before the files. Each file is unpacked as a stream;
//! its length and its CRC-32 have to be what the list says.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use flate2::Crc;
use flate2::read::DeflateDecoder;

/// Files in one zip.
pub(super) const ENTRIES_MAX: usize = 100_000;
/// Bytes of the list of files.
const LIST_BYTES_MAX: u64 = 64_000_000;
/// The end of a zip with the longest remark behind it.
const END_BYTES: u64 = 22 + 65_535;

/// A file in a zip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its path.
    pub(super) name: String,
    method: u16,
    crc: u32,
    /// Bytes as they are packed.
    pub(super) packed: u64,
    /// Bytes that they unpack to.
    pub(super) length: u64,
    at: u64,
}

fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(size)?)?;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |all, byte| all << 8 | u64::from(*byte)),
    )
}

/// The files that a zip lists; text says what is wrong with it.
pub(super) fn entries(file: &mut File) -> io::Result<Result<Vec<Entry>, &'static str>> {
    let length = file.seek(SeekFrom::End(0))?;
    let from = length.saturating_sub(END_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.take(END_BYTES).read_to_end(&mut tail)?;
    let end = tail.windows(4).rposition(|four| four == b"PK\x05\x06");
    let Some(end) = end else {
        return Ok(Err(
            "it does not end like a zip; it may not have come whole",
        ));
    };
    let end = tail.get(end..).unwrap_or_default();
    let (Some(mut count), Some(mut bytes), Some(mut at)) =
        (number(end, 10, 2), number(end, 12, 4), number(end, 16, 4))
    else {
        return Ok(Err("its end is cut off"));
    };
    if count == 0xFFFF || bytes == 0xFFFF_FFFF || at == 0xFFFF_FFFF {
        match large(file, &tail)? {
            Some(found) => (count, bytes, at) = found,
            None => return Ok(Err("its 64-bit end cannot be read")),
        }
    }
    if count > ENTRIES_MAX as u64 || bytes > LIST_BYTES_MAX {
        return Ok(Err("it lists more than 100,000 files"));
    }
    file.seek(SeekFrom::Start(at))?;
    let mut list = Vec::new();
    file.take(bytes).read_to_end(&mut list)?;
    Ok(listed(&list, count).ok_or("its list of files is damaged"))
}

/// Count, bytes and place of the list, as the 64-bit form has them.
fn large(file: &mut File, tail: &[u8]) -> io::Result<Option<(u64, u64, u64)>> {
    let locator = tail.windows(4).rposition(|four| four == b"PK\x06\x07");
    let Some(at) = locator.and_then(|locator| number(tail, locator + 8, 8)) else {
        return Ok(None);
    };
    file.seek(SeekFrom::Start(at))?;
    let mut end = [0; 56];
    file.read_exact(&mut end)?;
    if !end.starts_with(b"PK\x06\x06") {
        return Ok(None);
    }
    let found = (
        number(&end, 32, 8),
        number(&end, 40, 8),
        number(&end, 48, 8),
    );
    Ok(match found {
        (Some(count), Some(bytes), Some(at)) => Some((count, bytes, at)),
        _ => None,
    })
}

fn listed(mut list: &[u8], count: u64) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    for _ in 0..count {
        if !list.starts_with(b"PK\x01\x02") {
            return None;
        }
        let part = |at, size| number(list, at, size);
        let name = usize::try_from(part(28, 2)?).ok()?;
        let extra = usize::try_from(part(30, 2)?).ok()?;
        let remark = usize::try_from(part(32, 2)?).ok()?;
        let mut entry = Entry {
            name: String::from_utf8_lossy(list.get(46..46 + name)?).replace('\\', "/"),
            method: u16::try_from(part(10, 2)?).ok()?,
            crc: u32::try_from(part(16, 4)?).ok()?,
            packed: part(20, 4)?,
            length: part(24, 4)?,
            at: part(42, 4)?,
        };
        widen(&mut entry, list.get(46 + name..46 + name + extra)?)?;
        list = list.get(46 + name + extra + remark..)?;
        if !entry.name.ends_with('/') {
            entries.push(entry);
        }
    }
    Some(entries)
}

/// Puts in the 64-bit numbers of those that do not fit in 32.
fn widen(entry: &mut Entry, mut extra: &[u8]) -> Option<()> {
    while extra.len() >= 4 {
        let (kind, size) = (
            number(extra, 0, 2)?,
            usize::try_from(number(extra, 2, 2)?).ok()?,
        );
        let body = extra.get(4..4 + size)?;
        if kind == 1 {
            let mut at = 0;
            for field in [&mut entry.length, &mut entry.packed, &mut entry.at] {
                if *field == 0xFFFF_FFFF {
                    *field = number(body, at, 8)?;
                    at += 8;
                }
            }
        }
        extra = extra.get(4 + size..)?;
    }
    Some(())
}

/// A file of a zip as a stream.
pub(super) fn open(mut file: File, entry: &Entry) -> io::Result<impl Read + use<>> {
    let broken = |text: &'static str| io::Error::new(io::ErrorKind::InvalidData, text);
    file.seek(SeekFrom::Start(entry.at))?;
    let mut head = [0; 30];
    file.read_exact(&mut head)?;
    let skip = number(&head, 26, 2).zip(number(&head, 28, 2));
    let Some((name, extra)) = skip.filter(|_| head.starts_with(b"PK\x03\x04")) else {
        return Err(broken("the zip has no file where its list says"));
    };
    let start = entry.at + 30 + name + extra;
    file.seek(SeekFrom::Start(start))?;
    let packed = BufReader::with_capacity(1 << 16, file).take(entry.packed);
    let inner: Box<dyn Read> = match entry.method {
        0 => Box::new(packed),
        8 => Box::new(DeflateDecoder::new(packed)),
        _ => return Err(broken("the zip is packed in a way other than deflate")),
    };
    Ok(Checked {
        inner,
        crc: Crc::new(),
        expected: entry.crc,
        left: entry.length,
    })
}

/// Refuses to end where length or CRC-32 differ from the list.
struct Checked {
    inner: Box<dyn Read>,
    crc: Crc,
    expected: u32,
    left: u64,
}

impl Read for Checked {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        let broken = |text| io::Error::new(io::ErrorKind::InvalidData, text);
        let Some(left) = self.left.checked_sub(count as u64) else {
            return Err(broken("the file in the zip is longer than its list says"));
        };
        self.left = left;
        self.crc.update(into.get(..count).unwrap_or_default());
        if count == 0 && !into.is_empty() {
            if self.left > 0 {
                return Err(broken("the file in the zip is shorter than its list says"));
            }
            if self.crc.sum() != self.expected {
                return Err(broken("the checksum of the file in the zip does not fit"));
            }
        }
        Ok(count)
    }
}
