//! Numbers that are given up in favour of another one (A40 and its kin, HL7 v2.5.1 §3.3.40).
//!
//! One Patient of the Bundle is replaced, under the first number that is given up. A store of this node is
//! told all of them: they may be those of several patients, each of whom is replaced. What does not count is
//! decided as in the state of identity (`hilum_identity::Sides::given_up`): a number that names nobody, and
//! one that whoever stays has as well.

use hilum_message::as_of;
use hilum_message::numbers::names_nobody;

use super::known::DERIVED;
use super::moved::{Number, written};
use super::{Run, narrow};

/// Events by which one record goes up in another one.
const MERGES: [&str; 6] = ["A18", "A30", "A34", "A36", "A39", "A40"];

/// Events by which a number of a record changes.
const CHANGES: [&str; 3] = ["A46", "A47", "A48"];

/// A patient in whose favour numbers are given up.
#[derive(Clone, Debug)]
pub(super) struct Replaces {
    made: u32,
    /// System and value of each.
    numbers: Vec<(String, String)>,
}

impl Run<'_, '_> {
    /// Makes of both sides of a merge who is replaced by whom.
    pub(super) fn replaced_numbers(&mut self) {
        let event = self.message.component("MSH", 9, 2);
        let event = event.as_deref().unwrap_or_default();
        let is_change = CHANGES.contains(&event);
        if !is_change && !MERGES.contains(&event) {
            return;
        }
        for (before, now, _) in self.both_sides() {
            self.replace_numbers(before, now, is_change);
        }
    }

    fn replace_numbers(&mut self, before: u32, now: u32, is_change: bool) {
        let (former, own) = (self.told(before, [1, 4]), self.told(now, [3, 2]));
        let given = given_up(&former, &own);
        let is_replaced = match is_change {
            // Where the first stays what it is, another number of the same record changes.
            true => former.first().is_some_and(|first| !first.is_in(&own)),
            false => given.iter().any(|one| !one.is_in(&own)),
        };
        if is_replaced {
            // Two who had one number could be told apart by it no more.
            for one in former.iter().filter(|one| one.is_in(&own)) {
                self.draft.remove(one.at);
            }
        } else {
            self.empty(before, None);
            self.empty(now, Some("link"));
        }
        let numbers = given.into_iter().filter_map(|one| {
            if !one.system.is_empty() {
                return Some((one.system.clone(), one.value.clone()));
            }
            // Without an authority it is the sender's own.
            let sender = self.named_sender()?;
            Some((DERIVED.to_owned(), format!("{sender}|{}", one.value)))
        });
        let numbers: Vec<_> = numbers.collect();
        if !numbers.is_empty() {
            self.replaces.push(Replaces { made: now, numbers });
        }
    }

    /// The identifiers of a patient that stand in one field of its segment; if it is empty, in another one.
    fn told(&self, made: u32, fields: [u32; 2]) -> Vec<Number> {
        let said = fields.map(|field| self.numbers_in(made, field));
        let said = said.into_iter().find(|said| !said.is_empty());
        let said = said.unwrap_or_default();
        let mut all = self.identifiers_of(made);
        all.retain(|one| said.iter().any(|(value, _)| *value == one.value));
        all
    }

    /// What is said of the entry of a patient in whose favour numbers are given up.
    pub(super) fn replaces_numbers(
        &self,
        at: usize,
        same: &[Option<u32>],
    ) -> Option<(&'static str, String)> {
        let is_here =
            |one: &&Replaces| same.get(one.made as usize).copied().flatten() == Some(narrow(at));
        let all = self.replaces.iter().filter(is_here);
        let mut numbers: Vec<_> = all.flat_map(|one| &one.numbers).collect();
        numbers.dedup();
        let names = numbers
            .into_iter()
            .map(|(system, value)| (&**system, &**value));
        let names = Some(written(names)).filter(|names| !names.is_empty());
        names.map(|names| (as_of::REPLACES, names))
    }
}

/// The numbers that are given up. Where whoever stays has them all, those that are not theirs first.
fn given_up<'n>(former: &'n [Number], own: &[Number]) -> Vec<&'n Number> {
    let mut all: Vec<&Number> = former.iter().collect();
    if all.iter().any(|one| !names_nobody(&one.kind)) {
        all.retain(|one| !names_nobody(&one.kind));
    }
    if all.iter().any(|one| !one.is_in(own)) {
        all.retain(|one| !one.is_in(own));
        return all;
    }
    all.retain(|one| {
        let mut alike = own.iter();
        let alike = alike.find(|other| other.system == one.system && other.kind == one.kind);
        !alike.or(own.first()).is_none_or(|into| into.is(one))
    });
    all
}
