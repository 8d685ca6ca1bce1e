//! What came of a run beside what had to: every difference, and which harm it would be.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail};
use serde::Serialize;

use crate::play::Outcome;
use crate::sequence::{OneOrMore, Required};

/// The harm that a difference would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Harm {
    /// A fact is at a patient to whom it does not belong.
    WrongPatient,
    /// An older state is shown as the present one.
    StaleOverwrite,
    /// A value is shown with another unit than it was reported with.
    UnitChange,
    /// A correction, withdrawal or cancellation did not arrive.
    LostCorrection,
    /// Anything else that is not as required.
    Other,
}

/// All harms, in the order of the summary.
pub(crate) const HARMS: [(Harm, &str); 5] = [
    (Harm::WrongPatient, "wrong patient"),
    (Harm::StaleOverwrite, "stale overwrite"),
    (Harm::UnitChange, "silent unit change"),
    (Harm::LostCorrection, "lost correction"),
    (Harm::Other, "other"),
];

/// One place where required and actual differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Difference {
    pub(crate) harm: Harm,
    pub(crate) place: String,
    pub(crate) required: String,
    pub(crate) got: String,
}

impl Difference {
    fn other(place: &str, required: impl Into<String>, got: impl Into<String>) -> Self {
        Self {
            harm: Harm::Other,
            place: place.to_owned(),
            required: required.into(),
            got: got.into(),
        }
    }
}

type Facts = BTreeMap<String, String>;

/// The facts that are required, by receiver; a receiver that is not named has none.
pub(crate) fn required_facts(
    required: &Required,
    receivers: &[String],
) -> anyhow::Result<BTreeMap<String, Facts>> {
    let mut all: BTreeMap<String, Facts> = BTreeMap::new();
    for name in receivers {
        all.insert(name.clone(), Facts::new());
    }
    // What is said of one receiver stands before what is said of several.
    let is_group = |name: &str| matches!(name, "everywhere" | "record");
    let (groups, single): (Vec<_>, Vec<_>) = required
        .receivers
        .iter()
        .partition(|(name, _)| is_group(name));
    for (name, facts) in groups.into_iter().chain(single) {
        let named = match name.as_str() {
            "everywhere" => &["ehr", "lab", "store"][..],
            "record" => &["ehr", "store"],
            one => &[one],
        };
        let facts = match facts {
            serde_json::Value::Null => continue,
            serde_json::Value::Object(facts) => facts,
            _ => bail!("`then: {name}:` is no list of facts"),
        };
        for one in named {
            let own = all.get_mut(*one);
            let own =
                own.with_context(|| format!("`then` names {one}, to which nothing is sent"))?;
            for (subject, value) in facts {
                let value = value.as_str().unwrap_or_default();
                own.insert(subject.clone(), value.to_owned());
            }
        }
    }
    Ok(all)
}

/// Every difference.
pub(crate) fn differences(
    outcome: &Outcome,
    required: &Required,
    facts: &BTreeMap<String, Facts>,
) -> Vec<Difference> {
    let broken = outcome.broken.iter();
    let mut found: Vec<Difference> = broken
        .map(|text| Difference::other("story", "", text.clone()))
        .collect();
    let none = Facts::new();
    for (receiver, wanted) in facts {
        let got = outcome.receivers.get(receiver).unwrap_or(&none);
        found.extend(of_facts(receiver, wanted, got));
    }
    found.extend(of_holds(&required.holds, &outcome.holds));
    for (message, codes) in &required.findings {
        let got = outcome.findings.get(message).cloned().unwrap_or_default();
        for code in codes.all().iter().filter(|code| !got.contains(*code)) {
            let list: Vec<&str> = got.iter().map(String::as_str).collect();
            found.push(Difference::other(
                &format!("findings of {message}"),
                code.as_str(),
                list.join(", "),
            ));
        }
    }
    found.extend(of_dead_letters(
        &required.dead_letters,
        &outcome.dead_letters,
    ));
    found.extend(of_alerts(&required.alerts, &outcome.alerts));
    for (what, required, got) in [
        ("history", &required.history, &outcome.history),
        ("provenance", &required.provenance, &outcome.provenance),
    ] {
        for (subject, wanted) in required {
            let got = got.get(subject).map_or(&[][..], Vec::as_slice);
            if got != wanted.all() {
                let place = format!("{what} of {subject}");
                found.push(Difference::other(
                    &place,
                    wanted.all().join(", "),
                    got.join(", "),
                ));
            }
        }
    }
    for (receiver, wanted) in &required.in_this_order {
        let taken = outcome.orders.get(receiver).cloned().unwrap_or_default();
        let own = taken.into_iter().filter(|name| wanted.contains(name));
        let own: Vec<String> = own.collect();
        if own != *wanted {
            let place = format!("order of messages at {receiver}");
            found.push(Difference::other(&place, wanted.join(", "), own.join(", ")));
        }
    }
    found
}

fn of_alerts(wanted: &Facts, got: &Facts) -> Vec<Difference> {
    // The kind is the same for all of them.
    let named = |of: &String| of.split_once(' ').map(|(_, of)| of.to_owned());
    let got: Facts = got
        .iter()
        .filter_map(|(of, state)| Some((named(of)?, state.clone())))
        .collect();
    let all: BTreeSet<&String> = wanted.keys().chain(got.keys()).collect();
    let differ = all.into_iter().filter(|of| wanted.get(*of) != got.get(*of));
    let one = |of: &String| {
        let text = |facts: &Facts| facts.get(of).cloned().unwrap_or_default();
        Difference::other(&format!("alert of {of}"), text(wanted), text(&got))
    };
    differ.map(one).collect()
}

fn of_facts(receiver: &str, wanted: &Facts, got: &Facts) -> Vec<Difference> {
    let mut found = Vec::new();
    let subjects: BTreeSet<&String> = wanted.keys().chain(got.keys()).collect();
    for subject in subjects {
        let (want, has) = (wanted.get(subject), got.get(subject));
        if want == has {
            continue;
        }
        found.push(Difference {
            harm: harm(subject, want, has, wanted),
            place: format!("{receiver}: {subject}"),
            required: want.cloned().unwrap_or_default(),
            got: has.cloned().unwrap_or_default(),
        });
    }
    found
}

/// What a person would suffer from who believes `has`.
fn harm(subject: &str, want: Option<&String>, has: Option<&String>, wanted: &Facts) -> Harm {
    match (want, has) {
        (None, Some(_)) => {
            let what = subject.split_once(' ').map(|(_, what)| what);
            let of_other = |what: &str| {
                let end = format!(" {what}");
                wanted.keys().any(|other| other.ends_with(&end))
            };
            match what {
                Some(what) if of_other(what) || what.starts_with("result ") => Harm::WrongPatient,
                _ => Harm::Other,
            }
        }
        (Some(want), Some(has)) => {
            if takes_back(want) && !takes_back(has) {
                Harm::LostCorrection
            } else if subject.contains(" result ") && other_unit(want, has) {
                Harm::UnitChange
            } else {
                Harm::StaleOverwrite
            }
        }
        (Some(want), None) if takes_back(want) => Harm::LostCorrection,
        (_, None) => Harm::Other,
    }
}

fn takes_back(value: &str) -> bool {
    ["corrected", "withdrawn", "cancelled"]
        .iter()
        .any(|word| value.ends_with(word))
}

/// The word between value and status differs.
fn other_unit(want: &str, has: &str) -> bool {
    let unit = |text: &str| {
        let words: Vec<&str> = text.split(' ').collect();
        (words.len() == 3).then(|| words.get(1).copied().unwrap_or_default().to_owned())
    };
    unit(want) != unit(has)
}

fn of_holds(wanted: &BTreeMap<String, String>, got: &Facts) -> Vec<Difference> {
    let names: BTreeSet<&String> = wanted.keys().chain(got.keys()).collect();
    let mut found = Vec::new();
    for name in names {
        let place = format!("hold of {name}");
        match (wanted.get(name), got.get(name)) {
            (Some(want), Some(has)) if has.contains(want.as_str()) => {}
            (want, has) => found.push(Difference::other(
                &place,
                want.map_or("goes on", String::as_str),
                has.map_or("is not held", String::as_str),
            )),
        }
    }
    found
}

fn of_dead_letters(
    wanted: &BTreeMap<String, OneOrMore>,
    got: &BTreeMap<String, BTreeSet<String>>,
) -> Vec<Difference> {
    let names: BTreeSet<&String> = wanted.keys().chain(got.keys()).collect();
    let mut found = Vec::new();
    for name in names {
        let want: BTreeSet<String> = wanted
            .get(name)
            .map(|at| at.all().iter().cloned().collect())
            .unwrap_or_default();
        let has = got.get(name).cloned().unwrap_or_default();
        if want != has {
            let list = |names: BTreeSet<String>| names.into_iter().collect::<Vec<_>>().join(", ");
            let place = format!("dead letters of {name}");
            found.push(Difference::other(&place, list(want), list(has)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wanted: &[(&str, &str)], got: &[(&str, &str)], expected: &[Harm]) {
        let facts = |list: &[(&str, &str)]| -> Facts {
            let owned = list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
            owned.collect()
        };
        let found = of_facts("ehr", &facts(wanted), &facts(got));
        let harms: Vec<Harm> = found.iter().map(|one| one.harm).collect();
        assert_eq!(harms, expected, "{found:?}");
    }

    #[test]
    fn says_which_harm_a_difference_would_be() {
        let right = [("1 result F K", "4.1 mmol/L final")];
        check(&right, &right, &[]);
        check(
            &right,
            &[("2 result F K", "4.1 mmol/L final")],
            &[Harm::Other, Harm::WrongPatient],
        );
        check(
            &right,
            &[("1 result F K", "4.0 mmol/L final")],
            &[Harm::StaleOverwrite],
        );
        check(
            &right,
            &[("1 result F K", "4.1 mg/dL final")],
            &[Harm::UnitChange],
        );
        let corrected = [("1 result F K", "4.2 mmol/L corrected")];
        check(&corrected, &right, &[Harm::LostCorrection]);
        check(
            &[("1 visit V", "W2 admitted")],
            &[("1 visit V", "W1 admitted")],
            &[Harm::StaleOverwrite],
        );
    }
}
