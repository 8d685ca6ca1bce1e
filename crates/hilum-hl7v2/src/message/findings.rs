//! What is odd about the content, as opposed to how it is written.
//!
//! Needs no dictionary; structure, data types and tables are checked where there is one.

use super::{Message, Segment};
use crate::escape;
use crate::warning::{Warning, WarningCode};

impl Message {
    /// Where a warning is, without content: a line that does not begin with a segment id may begin
    /// with anything, so that it is named by its number. Empty for the whole message.
    #[must_use]
    pub fn warning_location(&self, warning: &Warning) -> String {
        let Some(segment) = warning.segment else {
            return String::new();
        };
        match warning.code {
            WarningCode::SegmentIdInvalid
            | WarningCode::SegmentIdLength
            | WarningCode::SegmentIdLowerCase => format!("segment {}", segment.saturating_add(1)),
            _ => self.segment_location(segment),
        }
    }

    /// The warnings of parsing and what a look at the content adds. Costs a pass over the message.
    pub fn findings(&self) -> Vec<Warning> {
        let mut found = self.warnings.clone();
        self.check_header(&mut found);
        let order = self.order_matters();
        let mut result_seen = false;
        for segment in self.segments() {
            let at = segment.index();
            if at > 0 && segment.has_id("MSH") {
                found.push(
                    Warning::new(WarningCode::SeveralMessages, "another MSH in the message").at(at),
                );
            }
            if segment.has_id("PID") {
                result_seen = false;
            }
            if order && result_seen && (segment.has_id("PV1") || segment.has_id("PV2")) {
                found.push(Warning::new(WarningCode::SegmentOrder, "PV1 after OBX").at(at));
            }
            if segment.has_id("OBX") {
                result_seen = true;
                check_observation(segment, &mut found);
            }
            if self.has_unknown_escape(segment) {
                found.push(
                    Warning::new(
                        WarningCode::EscapeUnknown,
                        "unknown or unpaired escape kept as text",
                    )
                    .at(at),
                );
            }
        }
        found
    }

    fn check_header(&self, found: &mut Vec<Warning>) {
        let mut note = |code, text: &'static str| found.push(Warning::new(code, text).at(0));
        match self.component("MSH", 9, 1) {
            None => note(WarningCode::MessageTypeMissing, "MSH-9 missing"),
            Some(code) => {
                // A general acknowledgement needs no trigger event.
                let general = matches!(code.as_ref(), "ACK" | "MCF");
                if !general && self.component("MSH", 9, 2).is_none() {
                    note(WarningCode::TriggerMissing, "MSH-9 has no trigger event");
                }
            }
        }
        if self.field("MSH", 10).is_none() {
            note(WarningCode::ControlIdMissing, "MSH-10 empty");
        }
        if self.field("MSH", 12).is_none() {
            note(WarningCode::VersionMissing, "MSH-12 missing");
        }
    }

    /// Whether this is a kind of message in which the visit always comes before results.
    fn order_matters(&self) -> bool {
        let code = self.component("MSH", 9, 1).unwrap_or_default();
        matches!(code.as_ref(), "ORU" | "ORM" | "OML" | "OMG" | "ADT" | "MDM")
    }

    fn has_unknown_escape(&self, segment: Segment<'_>) -> bool {
        let raw = segment.raw();
        let from = match segment.index() {
            0 => segment.field(3).map_or(raw.len(), |field| {
                (field.start as usize).saturating_sub(segment.start() as usize)
            }),
            _ => 0,
        };
        escape::has_unknown(raw.get(from..).unwrap_or_default(), &self.delimiters)
    }
}

impl Segment<'_> {
    /// Where its text begins in its source.
    fn start(&self) -> u32 {
        self.message()
            .segs
            .get(self.index())
            .map_or(0, |seg| seg.start)
    }
}

fn check_observation(segment: Segment<'_>, found: &mut Vec<Warning>) {
    let present = |n| segment.field(n).is_some_and(|field| !field.is_blank());
    if present(5) && !present(2) {
        found.push(
            Warning::new(
                WarningCode::ObservationTypeMissing,
                "OBX-2 missing while OBX-5 is present",
            )
            .at(segment.index()),
        );
    }
}
