//! Numbers that are moved to another patient (A43) take with them what is under them: whoever has them is
//! replaced as a whole. That is right only where they are all that patient has.
//!
//! A patient with other numbers as well is refused: what was told under which of them nobody can say, and
//! results would go to somebody whose they are not.

use std::collections::HashMap;

use hilum_fhir::{IssueType, Node, Problem, Resource};
use hilum_message::numbers::names_nobody;

use super::ahead::Named;
use super::timed::{Known, MERGED};
use super::{Plan, Prepared};
use crate::as_of::{Moves, Timed};
use crate::bundle::read::Item;
use crate::call::Call;
use crate::fault::Fault;
use crate::request::encode;
use crate::write;

/// The system of identifiers that a conversion makes of texts.
const DERIVED: &str = "urn:hilum:derived";

/// Refuses to move the numbers of a patient that has others, and numbers of several patients at once.
pub(super) async fn alone(
    call: &Call,
    bundle: &Resource,
    items: &[Item],
    known: &HashMap<usize, Known>,
    prepared: &mut Prepared,
) -> Result<(), Fault> {
    for item in items {
        let timed = item.timed.as_ref();
        let Some(timed) = timed.filter(|timed| timed.moves == Some(Moves::Numbers)) else {
            continue;
        };
        let (Some(node), Some(Plan::Write(write))) =
            (item.node(bundle), prepared.plans.get(item.at))
        else {
            continue;
        };
        let (ty, id) = (write.ty, write.id.clone());
        let moved: Vec<Number<'_>> = numbers(node).collect();
        if let Some(known) = known.get(&item.at)
            && has_others(&known.stored, (&moved, timed))?
        {
            let text = "the patient has other numbers than those that are moved, and what is under which \
                        of them nobody can tell: take the others from it, or move by hand what is not \
                        this one's, then send the message once more";
            return Err(refused(text).within(&item.place()));
        }
        let mut links = node.children_named("link");
        if !links.any(|link| link.child_text("type") == Some("replaced-by")) {
            // It stays who it is; a person may be several patients.
            continue;
        }
        for number in &moved {
            let mut criteria = String::from("identifier=");
            encode(&criterion(number.system, number.value), &mut criteria);
            let text =
                "the numbers that are moved are those of several patients: move them one by one";
            match prepared.ahead.named(call, ty, &criteria).await? {
                Named::None(_) => {}
                Named::One(found, expect) if found == id => {
                    prepared.expectations.push(expect);
                    prepared.owners.push(MERGED);
                }
                Named::One(..) | Named::Several => {
                    return Err(refused(text).within(&item.place()));
                }
            }
        }
    }
    Ok(())
}

/// A number as a search names it.
pub(super) fn criterion(system: &str, value: &str) -> String {
    format!("{}|{}", escaped(system), escaped(value))
}

/// What separates the parts of a token is part of the text (FHIR R4 search.html#escaping).
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        if matches!(char, '\\' | '|' | ',' | '$') {
            out.push('\\');
        }
        out.push(char);
    }
    out
}

fn refused(text: &str) -> Fault {
    let problem = Problem::error(IssueType::BusinessRule, text.to_owned());
    Fault::unprocessable(vec![problem])
}

/// An identifier, as far as a search finds it.
pub(super) struct Number<'r> {
    pub(super) system: &'r str,
    pub(super) value: &'r str,
    /// A code of its type.
    kind: Option<&'r str>,
}

pub(super) fn numbers(patient: Node<'_>) -> impl Iterator<Item = Number<'_>> {
    let all = patient.children_named("identifier");
    all.filter_map(|one| {
        let coding = one.child("type").and_then(|kind| kind.child("coding"));
        Some(Number {
            system: one.child_text("system").unwrap_or_default(),
            value: one.child_text("value")?,
            kind: coding.and_then(|coding| coding.child_text("code")),
        })
    })
}

fn has_others(
    stored: &hilum_fhir_store::Stored,
    (moved, timed): (&[Number<'_>], &Timed),
) -> Result<bool, Fault> {
    let resource = write::trusted(&write::spliced(stored).unwrap_or_default())?;
    let mut others = numbers(resource.root()).filter(|one| {
        let is = |system: &str, value: &str| one.system == system && one.value == value;
        let names = one.system != DERIVED && !one.kind.is_some_and(names_nobody);
        let is_moved = moved.iter().any(|moved| is(moved.system, moved.value));
        let is_over = timed
            .gives_up
            .iter()
            .any(|(system, value)| is(system, value));
        names && !is_moved && !is_over
    });
    Ok(others.next().is_some())
}
