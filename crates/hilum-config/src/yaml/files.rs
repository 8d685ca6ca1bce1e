//! The files that were read, and places in them.

use std::sync::Arc;

/// A file among those that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FileId(pub(crate) u32);

/// A range of bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Span {
    /// The file.
    pub(crate) file: FileId,
    /// First byte.
    pub(crate) start: u32,
    /// Byte after the last.
    pub(crate) end: u32,
}

impl Span {
    /// It is a part of the other, or all of it.
    pub(crate) fn is_within(self, other: Self) -> bool {
        self.file == other.file && other.start <= self.start && self.end <= other.end
    }
}

/// A file that was read.
#[derive(Clone, Debug)]
pub(crate) struct SourceFile {
    /// Its path from the site's folder, with `/`.
    pub(crate) path: Arc<str>,
    /// Its text.
    pub(crate) text: Arc<str>,
    /// The byte at which each line begins.
    lines: Vec<u32>,
}

impl SourceFile {
    /// A file of this text.
    #[must_use]
    pub(crate) fn new(path: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = breaks.filter_map(|(at, _)| u32::try_from(at + 1).ok());
        let lines = std::iter::once(0).chain(starts).collect();
        Self {
            path: path.into(),
            text,
            lines,
        }
    }

    /// Line and column of a byte, both from 1; the column counts characters.
    #[must_use]
    pub(crate) fn position(&self, byte: u32) -> (u32, u32) {
        let line = self.lines.partition_point(|start| *start <= byte).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or(0) as usize;
        let before = self.text.get(start..byte as usize).unwrap_or_default();
        let column = u32::try_from(before.chars().count())
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        (u32::try_from(line).unwrap_or(u32::MAX), column)
    }

    /// The text of a line, without its end.
    #[must_use]
    pub(crate) fn line(&self, line: u32) -> &str {
        let at = (line as usize).saturating_sub(1);
        let start = self.lines.get(at).copied().unwrap_or(0) as usize;
        let end = self
            .lines
            .get(at + 1)
            .map_or(self.text.len(), |next| *next as usize);
        self.text
            .get(start..end)
            .unwrap_or_default()
            .trim_end_matches(['\n', '\r'])
    }

    /// The text of a range; empty where the range is none.
    #[must_use]
    pub(crate) fn slice(&self, span: Span) -> &str {
        self.text
            .get(span.start as usize..span.end as usize)
            .unwrap_or_default()
    }
}

/// All files that were read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files(Vec<Arc<SourceFile>>);

impl Files {
    /// Adds a file.
    pub(crate) fn add(&mut self, file: SourceFile) -> FileId {
        let id = FileId(u32::try_from(self.0.len()).unwrap_or(u32::MAX));
        self.0.push(Arc::new(file));
        id
    }

    /// The file of an id that [`Files::add`] gave.
    #[must_use]
    pub(crate) fn get(&self, id: FileId) -> Option<&Arc<SourceFile>> {
        self.0.get(id.0 as usize)
    }

    /// The number of files.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}
