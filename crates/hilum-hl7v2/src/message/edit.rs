//! Edits: an edited segment gets text of its own, everything else stays what it was.
//!
//! Values are escaped with the message's own separators and written in its own character set.
//! Numbers are bounded by the path ([`crate::path::PATH_NUMBER_MAX`]).

use std::fmt;

use bytes::Bytes;
use hilum_fhirpath::{NodeId, Tree as _};

use super::index::mark_separators;
use super::place::first;
use super::{Level, Message, Overlay, Part, Seg, SegState, pos, segment_key};
use crate::charset::{Charset, CharsetName};
use crate::escape;
use crate::path::{Path, Scope, Which};

/// Why an edit was refused; the message is then as before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The character set of the message lacks a character of the value.
    #[error("{path}: a character is not in the character set of the message ({charset})")]
    NotInCharset {
        /// Where it was to be written.
        path: String,
        /// The name of the set.
        charset: &'static str,
    },
    /// MSH-1 and MSH-2 say how the message is written and cannot be assigned.
    #[error("{path}: separators cannot be assigned")]
    Separators {
        /// The path as given.
        path: String,
    },
    /// MSH can be neither removed nor inserted.
    #[error("{path}: the message header can be neither removed nor inserted")]
    Header {
        /// The path as given.
        path: String,
    },
    /// `SEG[n]` where there are fewer than n - 1.
    #[error("{path}: there are only {present} such segments")]
    Gap {
        /// The path as given.
        path: String,
        /// How many there are.
        present: usize,
    },
    /// A path without a field where one is needed, or the other way round.
    #[error("{path}: the path names {what}")]
    Target {
        /// The path as given.
        path: String,
        /// What it names instead.
        what: &'static str,
    },
    /// A segment id that is not 2 to 8 letters and digits.
    #[error("a segment id is 2 to 8 letters and digits")]
    SegmentId,
}

impl Message {
    /// Writes a value to the first place that a path names, or with `[*]` to each; a missing
    /// segment is added. Returns how many places were written.
    ///
    /// Naming another character set in MSH-18 converts the message to it, because bytes that
    /// belie their header are read wrongly without anybody noticing.
    pub fn set(&mut self, path: &Path, value: &str) -> Result<usize, EditError> {
        if path.names_charset()
            && let CharsetName::Known(charset) = Charset::named(value)
            && charset != self.decoding.wire
        {
            self.convert(charset)?;
        }
        let encoded = self.encoded(path, value)?;
        self.set_encoded(path, &encoded)
    }

    /// Writes a value in place of one part, named by its node. The node is void afterwards.
    pub fn set_node(&mut self, node: NodeId, value: &str) -> Result<(), EditError> {
        let Some(part) = self.part_of(node) else {
            return Err(EditError::Target {
                path: self.location(node),
                what: "no field",
            });
        };
        let place = part.location();
        if part.is_separators() {
            return Err(EditError::Separators { path: place });
        }
        let (index, span) = (part.segment as usize, (part.start, part.end));
        let encoded = self.encoded(&place, value)?;
        self.splice(index, span, &[&encoded]);
        Ok(())
    }

    /// Writes a part of this or another message, components and all, to a path.
    ///
    /// Separators and character set are translated; escapes stay as they are where both messages
    /// agree on them.
    pub fn set_part(&mut self, path: &Path, part: Part<'_>) -> Result<usize, EditError> {
        let same = part.message.delimiters == self.delimiters
            && (part.message.decoding.view == self.decoding.view || part.raw().is_ascii());
        let depth = path.field.map_or(0, |f| {
            u8::from(f.component > 0) + u8::from(f.subcomponent > 0)
        });
        let level = match (part.level, depth) {
            (level, 0) => level.max(Level::Repetition),
            (_, 1) => Level::Component,
            _ => Level::Subcomponent,
        };
        let mut out = Vec::new();
        self.translate(path, part, level, same, &mut out)?;
        self.set_encoded(path, &out)
    }

    /// Puts a value before what a path names, moving that and what follows it up by one: another
    /// repetition, component, subcomponent or field.
    pub fn insert(&mut self, path: &Path, value: &str) -> Result<(), EditError> {
        let Some(field) = path.field else {
            return Err(EditError::Target {
                path: path.to_string(),
                what: "a segment",
            });
        };
        check_target(path)?;
        let mut encoded = self.encoded(path, value)?;
        let index = self.first_or_new(path)?;
        let whole_field = field.component == 0 && field.repetition == Which::Unsaid;
        let separator = match (field.component, field.subcomponent) {
            (0, _) if whole_field => self.delimiters.field,
            (0, _) => self.delimiters.repetition,
            (_, 0) => self.delimiters.component,
            _ => self.delimiters.subcomponent,
        };
        let place = self.place(index, &field, first(field.repetition));
        if !place.is_new() {
            encoded.push(separator);
        }
        let here = (place.start, place.start);
        self.splice(index, here, &[&place.padding, &encoded]);
        Ok(())
    }

    /// Inserts an empty segment before the one at `index`; at the end where there is none.
    pub fn insert_segment(&mut self, index: usize, id: &str) -> Result<usize, EditError> {
        if !(2..=8).contains(&id.len()) || !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(EditError::SegmentId);
        }
        if index == 0 || id.eq_ignore_ascii_case("MSH") {
            return Err(EditError::Header {
                path: id.to_owned(),
            });
        }
        let at = index.min(self.segs.len());
        self.overlays.push(Overlay {
            bytes: Bytes::copy_from_slice(id.as_bytes()),
            seps: Vec::new(),
        });
        let seg = Seg {
            end: pos(id.len()),
            source: pos(self.overlays.len()),
            key: segment_key(id.as_bytes()),
            state: SegState::Added,
            ..Seg::default()
        };
        self.segs.insert(at, seg);
        self.restructured();
        Ok(at)
    }

    /// Removes the segment at an index.
    pub fn remove_segment(&mut self, index: usize) -> Result<(), EditError> {
        if index == 0 {
            return Err(EditError::Header {
                path: "MSH".to_owned(),
            });
        }
        if index < self.segs.len() {
            self.segs.remove(index);
            self.restructured();
        }
        Ok(())
    }

    fn set_encoded(&mut self, path: &Path, encoded: &[u8]) -> Result<usize, EditError> {
        let Some(field) = path.field else {
            return Err(EditError::Target {
                path: path.to_string(),
                what: "a segment",
            });
        };
        check_target(path)?;
        let each = path.occurrence == Which::All;
        let targets = if each {
            self.targets(path)
        } else {
            vec![self.first_or_new(path)?]
        };
        let mut written = 0_usize;
        for index in targets {
            let repetitions = match field.repetition {
                Which::All => self.repetition_count(index, field.field),
                Which::Unsaid | Which::Nth(_) => 1,
            };
            for n in 1..=repetitions {
                let n = if field.repetition == Which::All {
                    n
                } else {
                    first(field.repetition)
                };
                let place = self.place(index, &field, n);
                let span = (place.start, place.end);
                self.splice(index, span, &[&place.padding, encoded]);
                written = written.saturating_add(1);
            }
        }
        Ok(written)
    }

    /// The value as it will stand, checked against view and wire.
    fn encoded(&self, path: &dyn fmt::Display, value: &str) -> Result<Vec<u8>, EditError> {
        let refused = |_| EditError::NotInCharset {
            path: path.to_string(),
            charset: self.decoding.wire.hl7_name(),
        };
        if self.decoding.wire != self.decoding.view {
            self.decoding.wire.encode(value).map_err(refused)?;
        }
        escape::escape(value, &self.delimiters, self.decoding.view).map_err(refused)
    }

    /// Appends a part in this message's terms, no separator above `level` used.
    fn translate(
        &self,
        path: &Path,
        part: Part<'_>,
        level: Level,
        same: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), EditError> {
        if part.is_leaf() || level == Level::Subcomponent {
            if same && part.is_leaf() && !part.is_separators() {
                out.extend_from_slice(part.raw());
            } else {
                out.extend_from_slice(&self.encoded(path, &part.text())?);
            }
            return Ok(());
        }
        let d = &self.delimiters;
        let (separator, below) = match level {
            Level::Field => (d.repetition, Level::Repetition),
            Level::Repetition => (d.component, Level::Component),
            Level::Component | Level::Subcomponent => (d.subcomponent, Level::Subcomponent),
        };
        for (at, child) in part.children().enumerate() {
            if at > 0 {
                out.push(separator);
            }
            self.translate(path, child, below, same, out)?;
        }
        Ok(())
    }

    pub(super) fn targets(&self, path: &Path) -> Vec<usize> {
        let mut found = Vec::new();
        self.select_segments(path, Scope::Message, &mut |index| found.push(index));
        if path.occurrence == Which::Unsaid {
            found.truncate(1);
        }
        found
    }

    /// The first segment that a path names; added where it belongs if there is none.
    fn first_or_new(&mut self, path: &Path) -> Result<usize, EditError> {
        if let Some(found) = self.targets(path).first() {
            return Ok(*found);
        }
        let any = Path::new(
            path.groups.clone(),
            path.segment.clone(),
            Which::All,
            path.field,
        );
        let present = self.targets(&any);
        if let Which::Nth(n) = path.occurrence
            && (n as usize) > present.len().saturating_add(1)
        {
            return Err(EditError::Gap {
                path: path.to_string(),
                present: present.len(),
            });
        }
        let at = match (present.last(), &self.structures) {
            (Some(last), _) => last.saturating_add(1),
            (None, Some(structures)) => structures
                .place(self, &path.groups, &path.segment)
                .unwrap_or(self.segs.len()),
            (None, None) => self.segs.len(),
        };
        self.insert_segment(at.max(1), &path.segment)
    }

    fn repetition_count(&self, index: usize, field: u32) -> u32 {
        let part = self.segment(index).and_then(|segment| segment.field(field));
        part.map_or(1, |part| pos(part.children().count()))
    }

    /// Replaces a span of a segment's text.
    pub(super) fn splice(&mut self, index: usize, span: (u32, u32), with: &[&[u8]]) {
        let Some(text) = self.seg_text(index) else {
            return;
        };
        let head = text.slice(text.start, span.0);
        let tail = text.slice(span.1, text.end);
        let added: usize = with.iter().map(|part| part.len()).sum();
        let mut bytes = Vec::with_capacity(head.len() + added + tail.len());
        bytes.extend_from_slice(head);
        with.iter().for_each(|part| bytes.extend_from_slice(part));
        bytes.extend_from_slice(tail);
        self.replace_text(index, bytes);
    }

    /// Gives a segment text of its own.
    pub(super) fn replace_text(&mut self, index: usize, bytes: Vec<u8>) {
        let mut seps = Vec::new();
        mark_separators(&bytes, 0, self.delimiters.field, &mut seps);
        let Some(seg) = self.segs.get_mut(index) else {
            return;
        };
        (seg.start, seg.end) = (0, pos(bytes.len()));
        (seg.sep_start, seg.sep_end) = (0, pos(seps.len()));
        if seg.state == SegState::Received {
            seg.state = SegState::Edited;
        }
        let overlay = Overlay {
            bytes: Bytes::from(bytes),
            seps,
        };
        match (seg.source as usize)
            .checked_sub(1)
            .and_then(|at| self.overlays.get_mut(at))
        {
            Some(own) => *own = overlay,
            None => {
                self.overlays.push(overlay);
                seg.source = pos(self.overlays.len());
            }
        }
        self.touched = true;
    }

    /// Segments came or went.
    fn restructured(&mut self) {
        self.touched = true;
        self.groups = std::sync::OnceLock::new();
    }
}

pub(super) fn check_target(path: &Path) -> Result<(), EditError> {
    let separators = path.field.is_some_and(|field| field.field <= 2);
    if separators && super::is_header_key(path.key) {
        return Err(EditError::Separators {
            path: path.to_string(),
        });
    }
    Ok(())
}
