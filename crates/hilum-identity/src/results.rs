//! What may become of a result: the state table.
//!
//! HL7 v2.5.1 §7.4.2.11 (OBX-11, table 0085), §4.5.3.25 (OBR-25, table 0123), §4.5.1.1 (ORC-1, table
//! 0119). The standard lists the codes and leaves open which may follow which. What is legal here is
//! what can be told to a reader without taking back something that stays in the record: a final
//! result changes by a correction, a deletion or a withdrawal, and by nothing less.

use smol_str::SmolStr;

/// How an observation stands (OBX-11, table 0085).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Status {
    /// I: the specimen is in the laboratory, O: ordered only.
    #[serde(rename = "I")]
    Pending,
    /// P, S, R and the like: a value that is not final.
    #[serde(rename = "P")]
    Preliminary,
    /// F, U and V: final.
    #[serde(rename = "F")]
    Final,
    /// C: corrected.
    #[serde(rename = "C")]
    Corrected,
    /// X: there is and will be no result.
    #[serde(rename = "X")]
    Cancelled,
    /// D: deleted.
    #[serde(rename = "D")]
    Deleted,
    /// W: it was of another patient.
    #[serde(rename = "W")]
    WrongPatient,
}

impl Status {
    /// Of OBX-11. `None` for N, which asks, and for what the table does not have.
    #[must_use]
    pub fn of_obx(code: &str) -> Option<Self> {
        Some(match code {
            "I" | "O" => Self::Pending,
            "P" | "S" | "R" | "B" => Self::Preliminary,
            "F" | "U" | "V" | "A" => Self::Final,
            "C" => Self::Corrected,
            "X" => Self::Cancelled,
            "D" => Self::Deleted,
            "W" => Self::WrongPatient,
            _ => return None,
        })
    }

    /// Of OBR-25, for an observation that does not say.
    #[must_use]
    pub fn of_obr(code: &str) -> Option<Self> {
        Some(match code {
            "O" | "I" | "S" | "Y" | "Z" => Self::Pending,
            "A" | "P" | "R" | "M" | "N" => Self::Preliminary,
            "F" => Self::Final,
            "C" => Self::Corrected,
            "X" => Self::Cancelled,
            _ => return None,
        })
    }

    /// `Observation.status` (FHIR R4 valueset-observation-status).
    #[must_use]
    pub const fn fhir(self) -> &'static str {
        match self {
            Self::Pending => "registered",
            Self::Preliminary => "preliminary",
            Self::Final => "final",
            Self::Corrected => "corrected",
            Self::Cancelled => "cancelled",
            Self::Deleted | Self::WrongPatient => "entered-in-error",
        }
    }
}

/// What the table says of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// As it should be.
    Legal,
    /// It is carried out, and a person should know.
    Flagged(&'static str),
    /// It is not carried out: what is there stays.
    Kept(&'static str),
    /// A person decides.
    Held(&'static str),
}

/// What an observation becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// What it is from now on.
    pub status: Status,
    /// Whether that is as it should be.
    pub ruling: Ruling,
}

/// What an observation becomes that was `before` and is reported as `now`; `same` says that the
/// value is the one of before, `late` that the report is older than the newest one.
#[must_use]
pub fn next(before: Option<Status>, now: Status, same: bool, late: bool) -> Next {
    use Status::{Cancelled, Corrected, Deleted, Final, Pending, Preliminary, WrongPatient};
    let Some(before) = before else {
        let ruling = match now {
            Corrected => Ruling::Flagged("a correction of a result that never came"),
            Deleted => Ruling::Flagged("a deletion of a result that never came"),
            WrongPatient => Ruling::Flagged("a withdrawal of a result that never came"),
            Pending | Preliminary | Final | Cancelled => Ruling::Legal,
        };
        return Next {
            status: now,
            ruling,
        };
    };
    if late {
        return Next {
            status: before,
            ruling: Ruling::Kept("it is older than what is there"),
        };
    }
    let (status, ruling) = match (before, now) {
        (Pending | Preliminary, Corrected) => (
            Corrected,
            Ruling::Flagged("a correction of a result that was never final"),
        ),
        (Pending | Preliminary, _) => (now, Ruling::Legal),
        (Final | Corrected, Pending | Preliminary) => (
            before,
            Ruling::Kept("a preliminary result after the final one"),
        ),
        (Final | Corrected, Final) if same => (before, Ruling::Legal),
        (Final | Corrected, Final) => (
            Corrected,
            Ruling::Flagged("a final result with another value that is not called a correction"),
        ),
        (Final | Corrected, Corrected | Cancelled | Deleted | WrongPatient) => (now, Ruling::Legal),
        (Cancelled, Cancelled) | (Deleted, Deleted) | (WrongPatient, WrongPatient) => {
            (now, Ruling::Legal)
        }
        (Cancelled | Deleted, Pending | Preliminary) => (
            now,
            Ruling::Flagged("a result that was cancelled or deleted begins again"),
        ),
        (Cancelled | Deleted, Final | Corrected) => (
            now,
            Ruling::Flagged("a result for what was cancelled or deleted"),
        ),
        (Cancelled | Deleted, Deleted | WrongPatient) => (now, Ruling::Legal),
        (Deleted, Cancelled) => (before, Ruling::Legal),
        (WrongPatient, Cancelled | Deleted) => (before, Ruling::Legal),
        (WrongPatient, Pending | Preliminary | Final | Corrected) => (
            before,
            Ruling::Held("a result for the patient from whom it was withdrawn"),
        ),
    };
    Next { status, ruling }
}

/// What the control code of an order (ORC-1) does to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderChange {
    /// It is there.
    Placed,
    /// It is cancelled, discontinued or replaced by another one.
    Ended,
    /// What was to end it did not.
    StillThere,
    /// Nothing.
    None,
}

/// What a control code of table 0119 does to its order.
#[must_use]
pub fn order_change(code: &str) -> OrderChange {
    match code {
        "NW" | "SN" | "NA" | "PA" | "CH" | "XO" | "XR" | "XX" | "OK" | "RL" | "RF" | "RR" => {
            OrderChange::Placed
        }
        "CA" | "OC" | "CR" | "DC" | "OD" | "DR" | "RP" | "RU" | "RQ" | "OE" => OrderChange::Ended,
        "UC" | "UD" | "UM" | "UX" => OrderChange::StillThere,
        // RO is the order that takes the place of another one.
        "RO" => OrderChange::Placed,
        _ => OrderChange::None,
    }
}

/// Which result of its order an observation is: code and sub-id; the set id counts from one in each
/// message and says nothing. The time only where one message has several values under one code and
/// sub-id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObservationKey {
    /// OBX-3: code and system, or the text if there is no code.
    pub code: SmolStr,
    /// OBX-4.
    pub sub: SmolStr,
    /// OBX-14, if it must tell two of one message apart.
    pub time: Option<SmolStr>,
}

/// The keys of the observations of one order in one message, each given as code, sub-id and time.
#[must_use]
pub fn observation_keys(all: &[(SmolStr, SmolStr, SmolStr)]) -> Vec<ObservationKey> {
    let mut count = std::collections::BTreeMap::new();
    for (code, sub, _) in all {
        *count.entry((code, sub)).or_insert(0_usize) += 1;
    }
    all.iter()
        .map(|(code, sub, time)| ObservationKey {
            code: code.clone(),
            sub: sub.clone(),
            time: (count.get(&(code, sub)).is_some_and(|&count| count > 1) && !time.is_empty())
                .then(|| time.clone()),
        })
        .collect()
}

/// Every change of the table, for its page in the documentation: before, now, next.
pub fn table() -> impl Iterator<Item = (Option<Status>, Status, Next)> {
    const ALL: [Status; 7] = [
        Status::Pending,
        Status::Preliminary,
        Status::Final,
        Status::Corrected,
        Status::Cancelled,
        Status::Deleted,
        Status::WrongPatient,
    ];
    let before = std::iter::once(None).chain(ALL.into_iter().map(Some));
    before.flat_map(|before| {
        ALL.into_iter()
            .map(move |now| (before, now, next(before, now, false, false)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn becomes(before: &str, now: &str) -> Next {
        let status = |code: &str| Status::of_obx(code);
        next(status(before), status(now).unwrap(), false, false)
    }

    #[test]
    fn nothing_preliminary_stays_live_beside_a_final_result() {
        for (before, now, next) in table() {
            if matches!(before, Some(Status::Final | Status::Corrected))
                && matches!(now, Status::Pending | Status::Preliminary)
            {
                assert!(matches!(next.ruling, Ruling::Kept(_)));
                assert_eq!(Some(next.status), before);
            }
        }
    }

    #[test]
    fn what_is_not_legal_is_said() {
        for (before, now) in [
            ("", "C"),
            ("P", "C"),
            ("X", "F"),
            ("F", "P"),
            ("C", "F"),
            ("W", "F"),
        ] {
            assert_ne!(becomes(before, now).ruling, Ruling::Legal, "{before} {now}");
        }
        for (before, now) in [
            ("", "F"),
            ("P", "F"),
            ("I", "P"),
            ("F", "C"),
            ("C", "C"),
            ("F", "X"),
            ("F", "D"),
            ("F", "W"),
            ("P", "X"),
        ] {
            let next = becomes(before, now);
            assert_eq!(next.ruling, Ruling::Legal, "{before} {now}");
            assert_eq!(Some(next.status), Status::of_obx(now));
        }
    }

    #[test]
    fn a_final_result_is_never_taken_back_by_something_older() {
        for (before, now, _) in table() {
            if before.is_some() {
                assert_eq!(Some(next(before, now, false, true).status), before);
            }
        }
    }

    #[test]
    fn observations_are_told_apart_by_code_and_sub_id_and_only_then_by_time() {
        let all = [
            ("NA^L".into(), SmolStr::default(), "1".into()),
            ("K^L".into(), SmolStr::default(), "1".into()),
            ("K^L".into(), SmolStr::default(), "2".into()),
        ];
        let keys = observation_keys(&all);
        assert_eq!(keys[0].time, None);
        assert_eq!(keys[1].time.as_deref(), Some("1"));
        assert_ne!(keys[1], keys[2]);
    }
}
