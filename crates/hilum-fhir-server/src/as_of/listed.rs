//! What the newest of the lists that are all there is does not have has ended.
//!
//! Beside the resource that has a list stands when its newest list was so, and beside each resource
//! in it when a list last had it. The one before the other: it has ended. Both times are maxima, so
//! the order of arrival does not matter. What was never in such a list has none of these times, and no
//! list ends it.

use hilum_fhir::definitions::{Definitions, TypeId};
use hilum_message::SourceTime;

use super::times::{Own, Times};
use super::{Current, Outcome, Timed, merge, parts};
use crate::time::instant;
use crate::write::{Member, members};

/// What stands before the name of a list, where elements have their names.
const LIST: &str = "list:";

/// The name of the time at which a list ended a resource.
const ENDED: &str = "ended";

/// What an end says of a resource and no later list does by itself.
const BACK: [(&str, &[&str]); 3] = [
    ("Condition", &["clinicalStatus"]),
    ("Coverage", &["period.end"]),
    ("RelatedPerson", &["active", "period.end"]),
];

/// The status of what was said and is no more (FHIR R4 event-status, observation-status).
const MISTAKEN: &[u8] = b"\"entered-in-error\"";

/// When lists were so, beside a resource.
pub(crate) trait Listed {
    /// When a list was so last, or had the resource.
    fn list(&self, name: &str) -> Option<SourceTime>;
    /// When a list ended it.
    fn ended(&self) -> Option<SourceTime>;
}

impl Listed for Times {
    fn list(&self, name: &str) -> Option<SourceTime> {
        self.named(&format!("{LIST}{name}"), None)
    }

    fn ended(&self) -> Option<SourceTime> {
        self.named(ENDED, None)
    }
}

/// The names under which the times of the lists of a source stand.
pub(super) fn marks(timed: &Timed) -> impl Iterator<Item = String> {
    let all = timed.whole.iter().chain(&timed.listed);
    all.map(|name| format!("{LIST}{name}"))
}

/// The times of what takes the place of another as a whole, with those of the lists of both.
pub(super) fn replaced(times: &Times, timed: &Timed) -> Times {
    let before = times.own.iter().filter(|own| own.name.starts_with(LIST));
    let mut own: Vec<Own> = before.cloned().collect();
    for name in marks(timed) {
        match own.iter_mut().find(|own| own.name == name) {
            Some(known) => known.time = known.time.max(timed.time),
            None => own.push(Own {
                name,
                place: None,
                time: timed.time,
            }),
        }
    }
    Times {
        own,
        ..Times::all(timed.time)
    }
}

/// Since when what is there has ended, where a newer list has it again.
pub(super) fn revived(times: &Times, timed: &Timed) -> Option<SourceTime> {
    let ended = times.ended()?;
    (timed.listed.is_some() && ended < timed.time).then_some(ended)
}

/// Whether an element is there only because the resource had ended.
pub(super) fn of_end(ty: &str, element: &str) -> bool {
    let mut known = BACK.iter().filter(|(of, _)| *of == ty);
    known.any(|(_, elements)| elements.contains(&element))
}

/// Forgets that something had ended.
pub(super) fn is_end(name: &str) -> bool {
    name == ENDED
}

/// A resource in compact JSON as one that has ended at a time; `None` where it has already, was never
/// so, or something newer says otherwise.
pub(crate) fn ended(
    ty: TypeId,
    current: &Current<'_>,
    time: SourceTime,
) -> Option<(Vec<u8>, Times)> {
    if current.times.gap || current.times.ended().is_some_and(|known| known >= time) {
        return None;
    }
    let name = Definitions::r4().type_def(ty).name;
    let comes = as_ended(name, current.json, time)?;
    let (json, mut times) = match merge(ty, current, &comes, &Timed::plain(time)) {
        Outcome::Merged(json, times) => (json, times),
        Outcome::Replaced(times) => (comes, times),
        Outcome::Same | Outcome::Late => return None,
    };
    times.own.retain(|own| own.name != ENDED);
    times.own.push(Own {
        name: ENDED.to_owned(),
        place: None,
        time,
    });
    Some((json, times))
}

/// What is said of a resource that has ended, by the definitions of FHIR R4.
fn as_ended(name: &str, json: &[u8], time: SourceTime) -> Option<Vec<u8>> {
    let all = members(json);
    let value = |wanted: &[u8]| {
        let found = all.iter().find(|(name, _)| *name == wanted);
        found.map(|(_, value)| *value)
    };
    // What was a mistake has not ended.
    let mistaken = [&b"status"[..], b"verificationStatus"].into_iter();
    let mut said = mistaken.filter_map(&value);
    if said.any(|value| value.windows(MISTAKEN.len()).any(|part| part == MISTAKEN)) {
        return None;
    }
    let clinical = |system: &str| {
        let url = format!("http://terminology.hl7.org/CodeSystem/{system}");
        format!("{{\"coding\":[{{\"system\":\"{url}\",\"code\":\"inactive\"}}]}}").into_bytes()
    };
    let period = end(value(b"period"), time);
    let mut own: Vec<Member<'_>> = vec![(b"resourceType", value(b"resourceType")?)];
    let status;
    match name {
        // No longer at risk, no longer evidence of it (FHIR R4 allergyintolerance-clinical,
        // condition-clinical); what else is said with the status stays with it.
        "AllergyIntolerance" | "Condition" => {
            status = clinical(match name {
                "Condition" => "condition-clinical",
                _ => "allergyintolerance-clinical",
            });
            own.push((b"clinicalStatus", &status));
            let is_tied = |member: &&Member<'_>| {
                member.0 == b"verificationStatus"
                    || (name == "Condition" && member.0.starts_with(b"abatement"))
            };
            own.extend(all.iter().filter(is_tied).copied());
        }
        // Withdrawn (FHIR R4 fm-status).
        "Coverage" => own.push((b"status", b"\"cancelled\"")),
        "RelatedPerson" => own.push((b"active", b"false")),
        // What was done or measured does not end: that it was is no longer said.
        "Procedure" => own.push((b"status", MISTAKEN)),
        "Observation" => {
            let is_own = |member: &&Member<'_>| {
                !matches!(
                    **member,
                    (b"resourceType" | b"id" | b"status", _) | (b"meta", b"{}")
                )
            };
            own.extend(all.iter().filter(is_own).copied());
            own.push((b"status", MISTAKEN));
        }
        _ => return None,
    }
    if let Some(period) = period
        .as_ref()
        .filter(|_| matches!(name, "Coverage" | "RelatedPerson"))
    {
        own.push((b"period", period));
    }
    Some(parts::object(&own))
}

/// The end of a period that has none yet, or a later one.
fn end(period: Option<&[u8]>, time: SourceTime) -> Option<Vec<u8>> {
    let end = format!("\"{}\"", instant(time.at_ms));
    let all = period.map(members).unwrap_or_default();
    // Dates are compared as far as both say it.
    let is_before = |one: &[u8], other: &[u8]| {
        let length = one.len().min(other.len()).saturating_sub(1);
        one.get(..length) < other.get(..length)
    };
    for (name, value) in all {
        let stays = match name {
            b"end" => !is_before(end.as_bytes(), value),
            // It would end before it began.
            b"start" => is_before(end.as_bytes(), value),
            _ => false,
        };
        if stays {
            return None;
        }
    }
    Some(format!("{{\"end\":{end}}}").into_bytes())
}
