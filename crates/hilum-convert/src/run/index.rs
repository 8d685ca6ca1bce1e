//! The segments and fields of a message, and what was found in them last.

use std::collections::HashMap;

use hilum_hl7v2::structure::Arrangement;
use hilum_hl7v2::{Message, Part};

use super::narrow;
use crate::plan::{Fields, Src};

/// A segment with what is known of it before any row runs.
pub(super) struct Segment {
    pub(super) id: [u8; 3],
    /// The how manieth of its id, from 1.
    pub(super) ordinal: u32,
    pub(super) group: u32,
    /// Where its fields begin among those of all segments, and how many it has.
    pub(super) fields: u32,
    pub(super) field_count: u32,
    /// The fields that are not empty.
    pub(super) present: Fields,
    /// There is a quotation mark in it, and so maybe an explicit null.
    pub(super) has_quote: bool,
    /// Fields of it may repeat.
    pub(super) repeats: bool,
    /// The message has several of its id.
    pub(super) is_one_of_many: bool,
    /// The next one of its id; beyond all where there is none.
    pub(super) next_alike: u32,
}

/// The answer to a condition that was asked last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) segment: u32,
    pub(super) repetition: u32,
    pub(super) holds: Option<bool>,
}

/// Which segment was meant by an id from a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meant {
    pub(super) own: u32,
    pub(super) id: [u8; 3],
    pub(super) found: Option<u32>,
}

/// The values of a field.
#[derive(Clone, Copy, Debug)]
pub(super) enum Looked<'m> {
    Nothing,
    /// One, as it stands in the message.
    One(&'m str),
    More,
}

/// A field that conditions looked at last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look<'m> {
    pub(super) segment: u32,
    pub(super) repetition: u32,
    pub(super) src: Src,
    pub(super) found: Looked<'m>,
}

/// Fields that are remembered at once.
pub(super) const LOOKS: usize = 64;

/// Ids of segments that are remembered at once.
pub(super) const MEANT: usize = 64;

impl Answer {
    /// Of no segment.
    pub(super) const NONE: Self = Self {
        segment: u32::MAX,
        repetition: 0,
        holds: None,
    };
}

impl Meant {
    /// Of no segment.
    pub(super) const NONE: Self = Self {
        own: u32::MAX,
        id: [0; 3],
        found: None,
    };
}

impl Look<'_> {
    /// Of no segment.
    pub(super) const NONE: Self = Self {
        segment: u32::MAX,
        repetition: 0,
        src: Src::Once,
        found: Looked::Nothing,
    };
}

/// The segments of a message, and the fields of all of them.
pub(super) fn indexed<'m>(
    message: &'m Message,
    arrangement: Option<&Arrangement>,
) -> (Vec<Segment>, Vec<Part<'m>>) {
    let mut counts: HashMap<[u8; 3], u32> = HashMap::new();
    let mut fields = Vec::with_capacity(message.segments().len() * 20);
    let segments = message.segments().enumerate().map(|(at, segment)| {
        let id = segment.name();
        let ordinal = counts.entry(id).or_default();
        *ordinal += 1;
        let first = fields.len();
        fields.extend(segment.fields());
        let own = fields.get(first..).unwrap_or_default();
        let mut present = Fields::default();
        for (number, field) in (1..).zip(own) {
            if !field.is_empty() {
                present.add(number);
            }
        }
        Segment {
            id,
            ordinal: *ordinal,
            group: arrangement.map_or(0, |found| found.group(at)),
            fields: narrow(first),
            field_count: narrow(own.len()),
            present,
            has_quote: memchr::memchr(b'"', segment.raw()).is_some(),
            repeats: memchr::memchr(message.delimiters().repetition, segment.raw()).is_some(),
            is_one_of_many: false,
            next_alike: u32::MAX,
        }
    });
    let mut segments: Vec<Segment> = segments.collect();
    let mut last: HashMap<[u8; 3], u32> = HashMap::new();
    for (at, segment) in segments.iter_mut().enumerate().rev() {
        segment.is_one_of_many = counts.get(&segment.id).is_some_and(|count| *count > 1);
        segment.next_alike = last.insert(segment.id, narrow(at)).unwrap_or(u32::MAX);
    }
    (segments, fields)
}

/// Why there are no rows for a message.
pub(super) fn unknown_structure(
    message: &Message,
    arrangement: Option<&Arrangement>,
) -> &'static str {
    match arrangement {
        Some(_) => "no `message` of the maps has rows for this structure",
        None if message.component("MSH", 9, 1).is_none() => {
            "it is empty, so that nothing says what the message is"
        }
        None => "it names no message of HL7 v2",
    }
}
