//! Checks the fields of a segment against the facts of a version.
//!
//! Works on the bytes of the message. In the good case nothing is allocated and every byte is
//! looked at a few times; only what seems wrong is decoded and looked at again.

use super::facts::{Fact, Facts, Kind};
use super::finding::{Findings, Rule, Severity};
use super::value::Form;
use super::{Options, segment_path};
use crate::dictionary::Usage;
use crate::escape;
use crate::message::{Message, SegText, segment_key};

/// Where a value lies; written out only for a finding.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spot {
    pub(crate) segment: usize,
    pub(crate) field: u32,
    pub(crate) repetition: u32,
    pub(crate) component: u32,
    pub(crate) subcomponent: u32,
}

impl Spot {
    pub(crate) fn path(&self, message: &Message) -> String {
        let mut path = segment_path(message, self.segment);
        path.push_str(&format!("-{}", self.field));
        if self.repetition > 1 {
            path.push_str(&format!("[{}]", self.repetition));
        }
        if self.component > 0 {
            path.push_str(&format!(".{}", self.component));
        }
        if self.subcomponent > 0 {
            path.push_str(&format!(".{}", self.subcomponent));
        }
        path
    }
}

/// Checks one message, segment after segment.
pub(crate) struct FieldCheck<'m> {
    pub(crate) message: &'m Message,
    pub(crate) facts: &'m Facts,
    pub(crate) options: &'m Options,
}

impl FieldCheck<'_> {
    pub(crate) fn segment(&self, index: usize, findings: &mut Findings) {
        let Some(text) = self.message.seg_text(index) else {
            return;
        };
        let Some(facts) = self
            .facts
            .segment(text.key)
            .filter(|facts| !facts.is_empty())
        else {
            return;
        };
        let count = text.field_count();
        let header = text.is_header();
        let observation = text.key == segment_key(b"OBX");
        for (at, fact) in facts.iter().enumerate() {
            let number = crate::message::pos(at).saturating_add(1);
            let Some(fact) = fact else { continue };
            let value = match text.field(number).filter(|_| number <= count) {
                Some((start, end)) => text.slice(start, end),
                None if fact.usage == Usage::Required => &[],
                None => continue,
            };
            let spot = Spot {
                segment: index,
                field: number,
                repetition: 1,
                component: 0,
                subcomponent: 0,
            };
            if value.is_empty() {
                if fact.usage == Usage::Required {
                    self.add(
                        findings,
                        spot,
                        Rule::FieldMissing,
                        Severity::Error,
                        "required by the segment",
                    );
                }
                continue;
            }
            if header && number <= 2 {
                continue;
            }
            if observation && number == 5 {
                self.observation(&text, spot, *fact, value, findings);
            } else {
                self.field(spot, *fact, value, findings);
            }
        }
        self.beyond(index, &text, facts.len(), findings);
    }

    /// Fields behind the last one that the segment defines.
    fn beyond(&self, index: usize, text: &SegText<'_>, defined: usize, findings: &mut Findings) {
        let first = crate::message::pos(defined).saturating_add(1);
        for number in first..=text.field_count() {
            let Some((start, end)) = text.field(number) else {
                break;
            };
            if start != end {
                let spot = Spot {
                    segment: index,
                    field: number,
                    repetition: 1,
                    component: 0,
                    subcomponent: 0,
                };
                let text = "behind the last field of the segment in this version";
                self.add(
                    findings,
                    spot,
                    Rule::FieldUnexpected,
                    Severity::Warning,
                    text,
                );
                break;
            }
        }
    }

    /// OBX-5, whose type OBX-2 names.
    fn observation(
        &self,
        text: &SegText<'_>,
        spot: Spot,
        fact: Fact,
        value: &[u8],
        findings: &mut Findings,
    ) {
        let named = text
            .field(2)
            .map(|(start, end)| text.slice(start, end))
            .unwrap_or_default();
        let (kind, form) = match self.facts.named(named) {
            Some(found) => (found.kind, found.form),
            None => (Kind::Varies, Form::Text),
        };
        self.field(
            spot,
            Fact {
                kind,
                form,
                length: 0,
                ..fact
            },
            value,
            findings,
        );
    }

    fn field(&self, spot: Spot, fact: Fact, value: &[u8], findings: &mut Findings) {
        if matches!(fact.usage, Usage::Withdrawn | Usage::NotSupported) {
            let text = "withdrawn or not supported in this version";
            self.add(
                findings,
                spot,
                Rule::FieldNotSupported,
                Severity::Info,
                text,
            );
            return;
        }
        let separator = self.message.delimiters.repetition;
        let mut repetition: u32 = 0;
        let mut valued = false;
        for value in value.split(|byte| *byte == separator) {
            repetition = repetition.saturating_add(1);
            valued |= self.repetition(Spot { repetition, ..spot }, fact, value, findings);
            if findings.is_full() {
                return;
            }
        }
        if fact.max != 0 && repetition > u32::from(fact.max) {
            let text = format!("{repetition} repetitions, at most {}", fact.max);
            self.add(findings, spot, Rule::FieldExcess, Severity::Error, text);
        }
        if !valued && fact.usage == Usage::Required {
            self.add(
                findings,
                spot,
                Rule::FieldMissing,
                Severity::Error,
                "required by the segment",
            );
        }
    }

    /// Whether the repetition holds a value.
    fn repetition(&self, spot: Spot, fact: Fact, value: &[u8], findings: &mut Findings) -> bool {
        if value.is_empty() || self.message.delimiters.is_blank(value) {
            return false;
        }
        if value == b"\"\"" {
            return true;
        }
        self.length(spot, fact, value, findings);
        match fact.kind {
            Kind::Varies => {}
            Kind::Leaf => self.leaf(
                spot,
                fact,
                value,
                self.message.delimiters.component,
                findings,
            ),
            Kind::Composite(of) => self.composite(spot, fact, of, value, findings),
        }
        true
    }

    fn composite(&self, spot: Spot, fact: Fact, of: u16, value: &[u8], findings: &mut Findings) {
        let parts = self.facts.parts(of);
        let separator = self.message.delimiters.component;
        let mut values = value.split(|byte| *byte == separator);
        for (at, part) in parts.iter().enumerate() {
            let value = values.next();
            let Some(part) = part else { continue };
            let component = crate::message::pos(at).saturating_add(1);
            self.component(
                Spot { component, ..spot },
                part,
                value.unwrap_or_default(),
                findings,
            );
        }
        if values.any(|value| !value.is_empty()) {
            let text = format!("the data type has {} components", parts.len());
            self.add(
                findings,
                spot,
                Rule::ComponentUnexpected,
                Severity::Warning,
                text,
            );
        }
        if fact.coded {
            self.coded(spot, fact, value, findings);
        }
    }

    fn component(&self, spot: Spot, part: &Fact, value: &[u8], findings: &mut Findings) {
        if value.is_empty() || self.message.delimiters.is_blank(value) {
            if part.usage == Usage::Required && self.options.components_required {
                let text = "required by the data type";
                self.add(
                    findings,
                    spot,
                    Rule::ComponentMissing,
                    Severity::Warning,
                    text,
                );
            }
            return;
        }
        if value == b"\"\"" {
            return;
        }
        if matches!(part.usage, Usage::Withdrawn | Usage::NotSupported) {
            let text = "withdrawn or not supported in this version";
            self.add(
                findings,
                spot,
                Rule::ComponentNotSupported,
                Severity::Info,
                text,
            );
            return;
        }
        self.length(spot, *part, value, findings);
        match part.kind {
            Kind::Varies => {}
            Kind::Leaf => self.leaf(
                spot,
                *part,
                value,
                self.message.delimiters.subcomponent,
                findings,
            ),
            Kind::Composite(of) => self.subcomponents(spot, of, value, findings),
        }
    }

    fn subcomponents(&self, spot: Spot, of: u16, value: &[u8], findings: &mut Findings) {
        let parts = self.facts.parts(of);
        let separator = self.message.delimiters.subcomponent;
        let mut values = value.split(|byte| *byte == separator);
        for (at, part) in parts.iter().enumerate() {
            let Some(value) = values.next() else { break };
            let Some(part) = part else { continue };
            let subcomponent = crate::message::pos(at).saturating_add(1);
            let spot = Spot {
                subcomponent,
                ..spot
            };
            if !value.is_empty() && value != b"\"\"" && matches!(part.kind, Kind::Leaf) {
                self.leaf(spot, *part, value, separator, findings);
            }
        }
        if values.any(|value| !value.is_empty()) {
            let text = format!("the data type has {} subcomponents", parts.len());
            self.add(
                findings,
                spot,
                Rule::ComponentUnexpected,
                Severity::Warning,
                text,
            );
        }
    }

    /// One value; `lower` is the separator that must not occur in it.
    fn leaf(&self, spot: Spot, fact: Fact, value: &[u8], lower: u8, findings: &mut Findings) {
        let first = match fact.form {
            Form::Text => return self.undivided(spot, value, lower, findings),
            Form::Code | Form::SiteCode => {
                self.undivided(spot, value, lower, findings);
                return self.code(spot, fact, value, findings);
            }
            // The old TS has a precision behind the time; the others are one value.
            Form::DateTime | Form::Number | Form::Sequence | Form::Date | Form::Time => value
                .split(|byte| *byte == lower)
                .next()
                .unwrap_or_default(),
        };
        if first.len() != value.len() && fact.form != Form::DateTime {
            self.undivided(spot, value, lower, findings);
        }
        if !first.is_empty() && !fact.form.accepts(first) && !self.accepts_decoded(fact.form, first)
        {
            let severity = Severity::Error;
            let text = match fact.form {
                Form::Number => "not a number (NM)",
                Form::Sequence => "not a sequence number (SI)",
                Form::Date => "not a date (DT)",
                Form::Time => "not a time (TM)",
                Form::DateTime => "not a date and time (DTM)",
                Form::Text | Form::Code | Form::SiteCode => "not of its data type",
            };
            self.add(findings, spot, Rule::DataType, severity, text);
        }
    }

    fn undivided(&self, spot: Spot, value: &[u8], lower: u8, findings: &mut Findings) {
        if memchr::memchr(lower, value).is_some() {
            let text = "the data type has no components";
            self.add(
                findings,
                spot,
                Rule::ComponentUnexpected,
                Severity::Warning,
                text,
            );
        }
    }

    /// The slow way: white space around a value and escape sequences in it are no fault.
    fn accepts_decoded(&self, form: Form, value: &[u8]) -> bool {
        let text = escape::unescape(value, &self.message.delimiters, &self.message.decoding);
        form.accepts(text.trim().as_bytes())
    }

    fn code(&self, spot: Spot, fact: Fact, value: &[u8], findings: &mut Findings) {
        let Some(table) = fact.table.filter(|table| !table.is_open()) else {
            return;
        };
        let severity = match fact.form {
            Form::SiteCode => self.options.site_tables,
            Form::Code | Form::Text => Some(Severity::Warning),
            Form::Number | Form::Sequence | Form::Date | Form::Time | Form::DateTime => None,
        };
        let Some(severity) = severity else { return };
        if table.contains(value) {
            return;
        }
        let text = escape::unescape(value, &self.message.delimiters, &self.message.decoding);
        if !table.contains(text.trim().as_bytes()) {
            let text = format!(
                "not a code of table {:04} ({})",
                table.number(),
                table.name()
            );
            self.add(findings, spot, Rule::Table, severity, text);
        }
    }

    /// A coded element that names an HL7 table as its system holds a code of that table.
    fn coded(&self, spot: Spot, fact: Fact, value: &[u8], findings: &mut Findings) {
        let Some(table) = fact.table.filter(|table| !table.is_open()) else {
            return;
        };
        let mut parts = value.split(|byte| *byte == self.message.delimiters.component);
        let (code, system) = (
            parts.next().unwrap_or_default(),
            parts.nth(1).unwrap_or_default(),
        );
        let number = system
            .strip_prefix(b"HL7")
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let named = number.and_then(|digits| digits.parse::<u16>().ok());
        if named == Some(table.number()) && !code.is_empty() {
            let fact = Fact {
                form: Form::Code,
                ..fact
            };
            self.code(
                Spot {
                    component: 1,
                    ..spot
                },
                fact,
                code,
                findings,
            );
        }
    }

    fn length(&self, spot: Spot, fact: Fact, value: &[u8], findings: &mut Findings) {
        let max = fact.length as usize;
        if max == 0 || value.len() <= max || !self.options.lengths {
            return;
        }
        let text = escape::unescape(value, &self.message.delimiters, &self.message.decoding);
        let count = text.chars().count();
        if count > max {
            let text = format!("{count} characters, at most {max}");
            self.add(findings, spot, Rule::Length, Severity::Warning, text);
        }
    }

    fn add(
        &self,
        findings: &mut Findings,
        spot: Spot,
        rule: Rule,
        severity: Severity,
        text: impl Into<std::borrow::Cow<'static, str>>,
    ) {
        findings.add(|| spot.path(self.message), rule, severity, text);
    }
}
