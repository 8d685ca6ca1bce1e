//! The files of a tar, one after the other (POSIX ustar, with the long names of GNU and pax).

use std::io::Read;

use super::{PackageError, PackageLimits};

const BLOCK: usize = 512;

/// Reads files from a tar.
pub(super) struct Files<R> {
    source: R,
    entries_left: usize,
    limits: PackageLimits,
    path: String,
    bytes: Vec<u8>,
}

impl<R: Read> Files<R> {
    pub(super) fn new(source: R, limits: &PackageLimits) -> Self {
        Self {
            source,
            entries_left: limits.entries_max,
            limits: *limits,
            path: String::new(),
            bytes: Vec::new(),
        }
    }

    /// The next ordinary file with its path.
    pub(super) fn next(&mut self) -> Result<Option<(&str, &[u8])>, PackageError> {
        let mut long_name = None;
        loop {
            let mut header = [0_u8; BLOCK];
            if !self.block(&mut header)? || header.iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            check_sum(&header)?;
            self.entries_left = match self.entries_left.checked_sub(1) {
                Some(left) => left,
                None => return Err(PackageError::Entries(self.limits.entries_max)),
            };
            let size = octal(field(&header, 124, 12))?;
            self.content(size)?;
            match header.get(156) {
                Some(b'0' | 0) => {
                    self.path = long_name.unwrap_or_else(|| name(&header));
                    return Ok(Some((&self.path, &self.bytes)));
                }
                // GNU: the next file's name is the content.
                Some(b'L') => long_name = Some(text(&self.bytes)),
                // pax: records of `length key=value`.
                Some(b'x') => long_name = pax_path(&self.bytes).or(long_name),
                // Folders, links and what else there is hold no resource.
                _ => {}
            }
        }
    }

    /// Reads to the end.
    pub(super) fn drain(&mut self) -> Result<(), PackageError> {
        let read = std::io::copy(&mut self.source, &mut std::io::sink());
        read.map(|_| ()).map_err(PackageError::Read)
    }

    /// Fills a block; `false` where the source ended before it.
    fn block(&mut self, into: &mut [u8; BLOCK]) -> Result<bool, PackageError> {
        let mut filled = 0;
        while let Some(rest) = into.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.source.read(rest).map_err(PackageError::Read)? {
                0 if filled == 0 => return Ok(false),
                0 => return Err(PackageError::Tar("it ends inside of a header")),
                count => filled += count,
            }
        }
        Ok(true)
    }

    fn content(&mut self, size: u64) -> Result<(), PackageError> {
        if size > self.limits.entry_bytes_max {
            return Err(PackageError::Entry(self.limits.entry_bytes_max));
        }
        let padded = size.div_ceil(BLOCK as u64) * BLOCK as u64;
        self.bytes.clear();
        let mut part = self.source.by_ref().take(padded);
        let count = part.read_to_end(&mut self.bytes);
        if (count.map_err(PackageError::Read)? as u64) < padded {
            return Err(PackageError::Tar("it ends inside of a file"));
        }
        self.bytes
            .truncate(usize::try_from(size).unwrap_or(usize::MAX));
        Ok(())
    }
}

fn field(header: &[u8; BLOCK], start: usize, length: usize) -> &[u8] {
    header.get(start..start + length).unwrap_or_default()
}

/// A field up to its first zero.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0);
    let bytes = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}

fn name(header: &[u8; BLOCK]) -> String {
    let name = text(field(header, 0, 100));
    let prefix = text(field(header, 345, 155));
    let ustar = field(header, 257, 5) == b"ustar";
    if ustar && !prefix.is_empty() {
        format!("{prefix}/{name}")
    } else {
        name
    }
}

fn octal(bytes: &[u8]) -> Result<u64, PackageError> {
    let digits = bytes.iter().skip_while(|byte| **byte == b' ');
    let digits = digits.take_while(|byte| !matches!(byte, 0 | b' '));
    let mut value = 0_u64;
    for digit in digits {
        if !matches!(digit, b'0'..=b'7') || value >> 60 != 0 {
            return Err(PackageError::Tar("a number in a header is none"));
        }
        value = value << 3 | u64::from(digit - b'0');
    }
    Ok(value)
}

fn check_sum(header: &[u8; BLOCK]) -> Result<(), PackageError> {
    let stated = octal(field(header, 148, 8))?;
    let bytes = header.iter().enumerate();
    let sum: u64 = bytes
        .map(|(at, byte)| {
            if (148..156).contains(&at) {
                32
            } else {
                u64::from(*byte)
            }
        })
        .sum();
    if sum == stated {
        Ok(())
    } else {
        Err(PackageError::Tar("a header does not add up"))
    }
}

fn pax_path(records: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(records);
    let record = text.lines().find_map(|line| line.split_once(" path="));
    record.map(|(_, path)| path.to_owned())
}
