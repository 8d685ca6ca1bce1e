//! When what a message says was so, and what it deletes, for a store that keeps the newest of each
//! element (see `hilum_message::as_of`).
//!
//! - What happened is as of EVN-2 (HL7 v2.5.1 §3.4.1.2), a result as of OBR-22 of its order
//!   (§4.5.3.22), an order as of ORC-9 (§4.5.1.9); each else as of MSH-7. Before it was sent it cannot
//!   be known, so MSH-7 tells apart what has the same time.
//! - `""` deletes (§2.7.5.3). An element that several fields write is deleted where all of them say so;
//!   of the contact points each field deletes its own: a phone number that is no more says nothing of
//!   the one at work. Within a value nothing is deleted: it is said anew as a whole.
//! - A list that the system's file declares as a snapshot deletes what it does not have. `""` where an item
//!   of a list has its code or name deletes all that was in it before, whatever is declared.
//! - A cancelled discharge (A13, §3.3.13) takes back what the discharge has said, and unlinking two
//!   patients (A37, §3.3.37) their links. Whoever is registered is no longer deleted (A29, §3.3.29).

use hilum_fhir::definitions::{Definitions, ElementId};
use hilum_message::{SourceTime, as_of};

use super::names::names;
use super::{Frame, Made, Run};
use crate::plan::{Number, PlaceStep, Row, SegRef, Src};
use crate::settings::BundleType;
use crate::value::hash::uuid;
use crate::value::time::Time;

/// What a discharge says and its cancellation takes back.
const DISCHARGE: [&str; 2] = ["period.end", "hospitalization.dischargeDisposition"];

/// The elements that lists of segments make, and the segments.
const LISTS: [(&str, &str, &str); 4] = [
    ("Patient", "contact", "NK1"),
    ("Encounter", "diagnosis", "DG1"),
    ("Account", "coverage", "IN1"),
    ("Account", "guarantor", "GT1"),
];

/// Fields that write a part of a list of their own: the contact points of a patient at work, and the
/// others (PID-13 and PID-14, HL7 v2.5.1 §3.4.2.13, §3.4.2.14).
const FIELDS: [(&str, &str, u32, &str); 2] = [
    ("telecom", "PID", 13, "telecom[home]"),
    ("telecom", "PID", 14, "telecom[work]"),
];

/// The types of which lists of segments make resources of their own, the segments, and what has the list
/// where that is not the patient, with the field that has its number.
const ENDED: [(&str, &str, Option<Owner>); 7] = [
    ("AllergyIntolerance", "AL1", None),
    ("RelatedPerson", "NK1", None),
    ("Condition", "DG1", Some(VISIT)),
    ("Procedure", "PR1", Some(VISIT)),
    ("Observation", "OBX", Some(VISIT)),
    ("Coverage", "IN1", Some(ACCOUNT)),
    ("RelatedPerson", "GT1", Some(ACCOUNT)),
];

/// The field that says which item of a list a segment has. `""` there is an item of none: it deletes the list.
const KEYS: [(&str, u32); 7] = [
    ("AL1", 3),
    ("NK1", 2),
    ("DG1", 3),
    ("PR1", 3),
    ("OBX", 3),
    ("IN1", 2),
    ("GT1", 3),
];

type Owner = (&'static str, &'static str, u32);
const VISIT: Owner = ("Encounter", "PV1", 19);
const ACCOUNT: Owner = ("Account", "PID", 18);

/// The elements by which an event says which resources belong together.
const LINKING: [(&str, &str); 3] = [
    ("Patient", "link active"),
    ("Encounter", "partOf extension"),
    ("Account", "partOf"),
];

/// Events that say which records and numbers belong together, and not that a patient is there.
const OF_LINKS: [&str; 20] = [
    "A18", "A24", "A30", "A34", "A35", "A36", "A37", "A39", "A40", "A41", "A42", "A43", "A44",
    "A45", "A46", "A47", "A48", "A49", "A50", "A51",
];

/// An element that a field deletes.
#[derive(Clone, Debug)]
pub(super) struct Null {
    made: u32,
    name: String,
}

impl<'m> Run<'_, 'm> {
    /// Whether times and deletions are asked for.
    pub(super) fn is_timed(&self) -> bool {
        self.settings.as_of && self.settings.bundle == BundleType::Transaction
    }

    /// Writes the time of the message for all entries.
    pub(super) fn time_of_all(&mut self) {
        if !self.is_timed() {
            return;
        }
        let time = self.message_time();
        let root = self.draft.root();
        if let Some(meta) = self.draft.single(root, names().meta) {
            let extension = self.draft.append(meta, names().meta_extension);
            self.put(extension, names().extension_url, as_of::TIME);
            self.put(extension, names().extension_string, &as_of::write(&time));
        }
    }

    /// Writes what is said of one entry alone.
    pub(super) fn time_of_entry(&mut self, at: usize, made: Made, same: &[Option<u32>]) {
        if !self.is_timed() {
            return;
        }
        let mut texts = Vec::new();
        if let Some(time) = self.own_time(made) {
            texts.push((as_of::TIME, as_of::write(&time)));
        }
        let deletes = self.deletes(at, made, same);
        if !deletes.is_empty() {
            texts.push((as_of::DELETES, deletes));
        }
        texts.extend(self.lists(made, same));
        if self.is_moved(made) {
            texts.push((as_of::MOVES, as_of::WITH_SUBJECT.to_owned()));
        }
        texts.extend(self.moves_numbers(at, same));
        texts.extend(self.replaces_numbers(at, same));
        let back = self.takes_back(made);
        if !back.is_empty() {
            texts.push((as_of::TAKES_BACK, back.to_owned()));
        }
        let Some(request) = self.draft.child(made.entry, names().request) else {
            return;
        };
        for (url, text) in texts {
            let extension = self.draft.append(request, names().request_extension);
            self.put(extension, names().extension_url, url);
            self.put(extension, names().extension_string, &text);
        }
    }

    /// The lists of a resource of which the message has all there is, and the list that it is in.
    fn lists(&self, made: Made, same: &[Option<u32>]) -> Vec<(&'static str, String)> {
        if !self.has_lists() {
            return Vec::new();
        }
        let name = |made: &Made| {
            let ty = self.draft.type_id(made.node);
            ty.map_or("", |ty| Definitions::r4().type_def(ty).name)
        };
        let own = name(&made);
        let has = |owner: &Option<Owner>| owner.map_or("Patient", |owner| owner.0) == own;
        if !ENDED.iter().any(|(ty, _, owner)| *ty == own || has(owner)) {
            return Vec::new();
        }
        let stays = |owner: &str| {
            let all = self.made.iter().zip(same).zip(0_u32..);
            all.filter(|((made, to), at)| **to == Some(*at) && name(made) == owner)
                .count()
        };
        // Of two patients in one message nobody says whose a list is.
        if stays("Patient") != 1 {
            return Vec::new();
        }
        let event = self.message.component("MSH", 9, 2).unwrap_or_default();
        let segment = self.segments.get(made.segment as usize);
        let mut whole = Vec::new();
        let mut listed = None;
        for (ty, list, field) in ENDED {
            // A visit or account without a number is not known again.
            let (owner, number) = match field {
                None => ("Patient", String::new()),
                Some((owner, segment, field)) if stays(owner) == 1 => {
                    let part = |n| {
                        self.message
                            .component(segment, field, n)
                            .unwrap_or_default()
                    };
                    let (number, authority) = (part(1), part(4));
                    if number.trim().is_empty() {
                        continue;
                    }
                    (owner, format!("{number}|{authority}"))
                }
                Some(_) => continue,
            };
            let mark = || {
                let told = uuid(&[&self.settings.system, list, &number]);
                format!("{ty}@{told}")
            };
            if own == owner && self.is_all(list, &event) {
                whole.push(mark());
            }
            if own == ty && segment.is_some_and(|one| one.id == list.as_bytes()) {
                listed = Some(mark());
            }
        }
        let whole = Some(whole.join(" ")).filter(|whole| !whole.is_empty());
        let whole = whole.map(|whole| (as_of::WHOLE, whole));
        let listed = listed.map(|listed| (as_of::LISTED, listed));
        whole.into_iter().chain(listed).collect()
    }

    /// A visit or an account that was with the wrong patient (A45, A44; HL7 v2.5.1 §3.3.45, §3.3.44).
    fn is_moved(&self, made: Made) -> bool {
        let ty = self.draft.type_id(made.node);
        let ty = ty.map_or("", |ty| Definitions::r4().type_def(ty).name);
        let event = self.message.component("MSH", 9, 2);
        let moves = matches!(
            (ty, event.as_deref()),
            ("Encounter", Some("A45")) | ("Account", Some("A44"))
        );
        moves && !self.has_come(made, ty)
    }

    /// The account under whose number another one was moved. When that is taken back it stays with its
    /// patient, whom the message does not name.
    fn has_come(&self, made: Made, ty: &str) -> bool {
        let segment = self.segments.get(made.segment as usize);
        self.settings.taken_back && ty == "Account" && segment.is_some_and(|one| one.id == *b"PID")
    }

    /// The elements of a resource that an event writes which is taken back.
    fn takes_back(&mut self, made: Made) -> &'static str {
        if !self.settings.taken_back {
            return "";
        }
        let ty = self.draft.type_id(made.node);
        let ty = ty.map_or("", |ty| Definitions::r4().type_def(ty).name);
        if ty == "Account" && self.message.component("MSH", 9, 2).as_deref() == Some("A44") {
            self.without_subject(made);
        }
        if ty == "Account" {
            // It must have a status, and goes on.
            let mut children = self.draft.children(made.node);
            let given_up = children.find(|(child, ..)| self.draft.text(*child) == Some("inactive"));
            let given_up = given_up.map(|(status, ..)| status);
            drop(children);
            if let Some(status) = given_up {
                let _known = self.draft.set(status, "active");
            }
        }
        let rows = LINKING.iter().find(|(of, _)| *of == ty);
        rows.map_or("", |(_, elements)| elements)
    }

    fn without_subject(&mut self, made: Made) {
        if !self.has_come(made, "Account") {
            return;
        }
        let tables = Definitions::r4();
        let children = self.draft.children(made.node);
        let subjects =
            children.filter(|(_, element, _)| tables.element(*element).name == "subject");
        let subjects: Vec<_> = subjects.map(|(at, ..)| at).collect();
        for at in subjects {
            self.draft.remove(at);
        }
    }

    fn message_time(&self) -> SourceTime {
        let sent = self.time_at("MSH", 7).or_else(|| self.arrival());
        let sent_ms = sent.unwrap_or_default();
        let sequence = self.message.component("MSH", 13, 1);
        let sequence = sequence.and_then(|text| text.parse().ok());
        // Many senders write whole minutes: of one time what came later is the newer one.
        let came = || self.arrival().and_then(|ms| u64::try_from(ms).ok());
        SourceTime {
            at_ms: self.time_at("EVN", 2).unwrap_or(sent_ms),
            sent_ms,
            sequence: sequence.or_else(came).unwrap_or(0),
        }
    }

    fn time_at(&self, segment: &str, field: u32) -> Option<i64> {
        let text = self.message.component(segment, field, 1)?;
        Some(Time::read(&text)?.unix_ms(self.clock()))
    }

    fn arrival(&self) -> Option<i64> {
        let digits = |text: &str| text.replace(['-', ':', 'T'], "");
        let text = self.arrived.at.strip_suffix('Z').map(digits)?;
        Some(Time::read(&(text + "+0000"))?.unix_ms(self.clock()))
    }

    /// The time of a resource that is not that of the message.
    fn own_time(&self, made: Made) -> Option<SourceTime> {
        let ty = self.draft.type_id(made.node)?;
        let (segment, field) = match Definitions::r4().type_def(ty).name {
            "DiagnosticReport" | "Observation" | "Specimen" => (*b"OBR", 22),
            "ServiceRequest" | "MedicationRequest" => (*b"ORC", 9),
            _ => return None,
        };
        let segment = self.segment_of(made.segment, SegRef::Other(segment))?;
        let text = String::from_utf8_lossy(self.field(segment, field)?.raw());
        let at_ms = Time::read(&text)?.unix_ms(self.clock());
        let of_all = self.message_time();
        (at_ms != of_all.at_ms).then_some(SourceTime { at_ms, ..of_all })
    }

    /// Notes that a field deletes the element that a row would write.
    pub(super) fn note_null(&mut self, frame: &Frame<'m>, row: &Row) {
        if frame.depth > 0 || !self.is_timed() {
            return;
        }
        let Some(map) = self.plan.maps.get(frame.map as usize) else {
            return;
        };
        let Some((top, name)) = self.written_by(frame.map, row.place) else {
            return;
        };
        let made = frame.target.made;
        if let Some(part) = self.own_part(frame, row, &name) {
            let name = part.to_owned();
            return self.nulls.push(Null { made, name });
        }
        // All that write the same element say the same.
        let mut others = map.rows.iter().filter(|other| {
            let written = self.written_by(frame.map, other.place);
            written.is_some_and(|written| written == (top, name.clone()))
        });
        let all = others.all(|other| match other.source {
            Src::Field { segment, field, .. } => {
                let segment = self.segment_of(frame.segment, segment);
                let field = segment.and_then(|segment| self.field(segment, field));
                field.is_some_and(|field| field.is_null())
            }
            Src::Once | Src::Segment(_) | Src::Value { .. } => true,
        });
        if all {
            self.nulls.push(Null { made, name });
        }
    }

    /// The part of a list of a patient that the field of a row has to itself.
    fn own_part(&self, frame: &Frame<'m>, row: &Row, name: &str) -> Option<&'static str> {
        let Src::Field { segment, field, .. } = row.source else {
            return None;
        };
        let ty = self.draft.type_id(self.node(frame.target.made))?;
        if Definitions::r4().type_def(ty).name != "Patient" {
            return None;
        }
        let segment = self.segment_of(frame.segment, segment)?;
        let segment = self.segments.get(segment as usize)?;
        let mut known = FIELDS.iter();
        let found =
            known.find(|(of, id, n, _)| *of == name && segment.id == id.as_bytes() && *n == field);
        found.map(|(.., part)| *part)
    }

    /// The element of its resource that a place is, and its name; of what does not repeat also what is
    /// below it.
    fn written_by(&self, map: Number, place: Number) -> Option<(ElementId, String)> {
        let places = &self.plan.maps.get(map as usize)?.places;
        let mut way = Vec::new();
        let mut at = place;
        loop {
            let def = places.get(at as usize)?;
            match &def.step {
                PlaceStep::Target => break,
                PlaceStep::Single | PlaceStep::Append => way.push(def.child.element),
                // A reference is the element; what is in the other resource is its own.
                PlaceStep::Refer { reference, .. } => {
                    way.clear();
                    way.push(reference.child.element);
                }
                PlaceStep::Extension { .. } | PlaceStep::Back { .. } => return None,
            }
            at = def.parent;
        }
        let tables = Definitions::r4();
        let top = *way.last()?;
        let element = tables.element(top);
        let name = match (way.as_slice(), element.is_list()) {
            ([_], _) => element.name.to_owned(),
            ([below, _], false) => format!("{}.{}", element.name, tables.element(*below).name),
            // A detail of something that another field says.
            _ => return None,
        };
        Some((top, name))
    }

    /// Whether lists of the message are those of its patient, visit or account.
    fn has_lists(&self) -> bool {
        let code = self.message.component("MSH", 9, 1);
        matches!(code.as_deref(), Some("ADT" | "BAR"))
    }

    /// Whether a segment deletes the list that it would be an item of.
    pub(super) fn deletes_list(&self, segment: u32) -> bool {
        let Some(of) = self.segments.get(segment as usize) else {
            return false;
        };
        let key = KEYS.iter().find(|(id, _)| id.as_bytes() == of.id);
        let key = key.filter(|_| of.has_quote && self.has_lists());
        let key = key.and_then(|(_, field)| self.field(segment, *field));
        key.is_some_and(|key| key.is_null())
    }

    /// Whether what a list of segments does not have is no more.
    fn is_all(&self, segment: &str, event: &str) -> bool {
        let mut own = self.segments.iter().zip(0..);
        if own.any(|(one, at)| one.id == segment.as_bytes() && self.deletes_list(at)) {
            return true;
        }
        let Some(empty_in) = self.settings.snapshots.get(segment) else {
            return false;
        };
        let mut segments = self.segments.iter();
        if segments.any(|one| one.id == segment.as_bytes()) {
            return true;
        }
        let code = self.message.component("MSH", 9, 1).unwrap_or_default();
        empty_in
            .iter()
            .any(|of| of.split_once('^') == Some((&code, event)))
    }

    /// A registration that does not itself say whether the patient is active, as a deletion does (A29).
    fn is_registered(&self, made: Made, event: &str) -> bool {
        let says = self.draft.child(made.node, names().patient_active);
        let is_registration = self.message.component("MSH", 9, 1).as_deref() == Some("ADT");
        is_registration && !OF_LINKS.contains(&event) && says.is_none()
    }

    /// The elements that the message deletes of a resource.
    fn deletes(&self, at: usize, made: Made, same: &[Option<u32>]) -> String {
        let is_same = |null: &&Null| {
            let to = same.get(null.made as usize).copied().flatten();
            to.is_some_and(|to| to as usize == at)
        };
        let nulls = self.nulls.iter().filter(is_same);
        let mut names: Vec<&str> = nulls.map(|null| null.name.as_str()).collect();
        let ty = self.draft.type_id(made.node);
        let ty = ty.map_or("", |ty| Definitions::r4().type_def(ty).name);
        let event = self.message.component("MSH", 9, 2).unwrap_or_default();
        match (ty, &*event) {
            ("Encounter", "A13") => names.extend(DISCHARGE),
            ("Patient", "A37") => names.push("link"),
            ("Patient", event) if self.is_registered(made, event) => names.push("active"),
            _ => {}
        }
        let lists = LISTS.iter().filter(|(of, ..)| *of == ty);
        names.extend(
            lists
                .filter(|list| self.is_all(list.2, &event))
                .map(|list| list.1),
        );
        names.sort_unstable();
        names.dedup();
        names.join(" ")
    }
}
