//! The codes of a value set (FHIR R4 valueset.html#compositions).

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use hilum_fhir::definitions::Definitions;
use hilum_fhir::{Node, Resource};

use super::system::{System, Toward};
use super::{Asked, Library};
use crate::search::{split, unescape};

/// System and code.
pub(super) type Coding = (String, String);
/// Why codes cannot be told; said after the name of a parameter.
type Wrong = String;

/// Codes that are looked at to work out what one search names.
const WORK_MAX: usize = 5_000_000;

/// What is worked out so far.
#[derive(Default)]
struct Work {
    /// Value sets, each worked out once; `None` while that goes on.
    done: HashMap<String, Option<Rc<BTreeSet<Coding>>>>,
    codes: usize,
}

impl Work {
    fn spend(&mut self, codes: usize) -> Result<(), Wrong> {
        self.codes = self.codes.saturating_add(codes).saturating_add(1);
        if self.codes > WORK_MAX {
            return Err("needs more codes to be looked at than this server does".to_owned());
        }
        Ok(())
    }
}

/// The value sets and the code systems that a value set refers to.
pub(super) fn refers(set: &Resource) -> (Vec<String>, Vec<String>) {
    let (mut sets, mut systems) = (Vec::new(), Vec::new());
    let Some(compose) = set.root().child("compose") else {
        return (sets, systems);
    };
    let parts = compose.children_named("include");
    for part in parts.chain(compose.children_named("exclude")) {
        let named = part.children_named("valueSet").filter_map(Node::text);
        sets.extend(named.map(str::to_owned));
        if part.child("concept").is_none() {
            systems.extend(part.child_text("system").map(str::to_owned));
        }
    }
    (sets, systems)
}

impl Library {
    /// The codes of what a search names, at most so many.
    pub(super) fn codes(&self, asked: &Asked, most: usize) -> Result<BTreeSet<Coding>, Wrong> {
        let codes = match asked {
            Asked::In(url) => (*self.set(url, &mut Work::default())?).clone(),
            Asked::Above(coding) => self.subsuming(coding, Toward::Above)?,
            Asked::Below(coding) => self.subsuming(coding, Toward::Below)?,
        };
        if codes.len() > most {
            return Err(format!("stands for more than {most} codes"));
        }
        Ok(codes)
    }

    fn subsuming(&self, coding: &str, toward: Toward) -> Result<BTreeSet<Coding>, Wrong> {
        let parts: Vec<String> = split(coding, '|').into_iter().map(unescape).collect();
        let [url, code] = parts.as_slice() else {
            return Err("needs a value of the form SYSTEM|CODE".to_owned());
        };
        let system = self.system(url)?;
        if !system.has(code) {
            return Err("names a code that its code system does not have".to_owned());
        }
        Ok(owned(url, system.reach(code, toward)))
    }

    /// A code system of which every code is known.
    fn system(&self, url: &str) -> Result<&System, Wrong> {
        match self.systems.get(url) {
            Some(Ok(Some(system))) if system.complete => Ok(system),
            Some(Ok(Some(_))) => Err(format!(
                "needs all codes of the code system {url}, which is stored, but not as complete"
            )),
            Some(Err(wrong)) => Err(wrong.clone()),
            Some(Ok(None)) | None => Err(format!(
                "needs the code system {url}, which is not stored on this server"
            )),
        }
    }

    fn set(&self, url: &str, work: &mut Work) -> Result<Rc<BTreeSet<Coding>>, Wrong> {
        match work.done.get(url) {
            Some(Some(known)) => return Ok(Rc::clone(known)),
            Some(None) => return Err("needs value sets that include each other".to_owned()),
            None => {}
        }
        work.done.insert(url.to_owned(), None);
        let codes = match self.sets.get(url) {
            Some(Ok(Some(set))) => self.composed(set, work)?,
            Some(Err(wrong)) => return Err(wrong.clone()),
            Some(Ok(None)) | None => of_standard(url)?,
        };
        work.spend(codes.len())?;
        let codes = Rc::new(codes);
        work.done.insert(url.to_owned(), Some(Rc::clone(&codes)));
        Ok(codes)
    }

    fn composed(&self, set: &Resource, work: &mut Work) -> Result<BTreeSet<Coding>, Wrong> {
        let Some(compose) = set.root().child("compose") else {
            return expanded(set);
        };
        let mut codes = BTreeSet::new();
        for part in compose.children_named("include") {
            codes.extend(self.part(part, work)?);
        }
        for part in compose.children_named("exclude") {
            for coding in self.part(part, work)? {
                codes.remove(&coding);
            }
        }
        Ok(codes)
    }

    /// What one `include` or `exclude` selects: codes that are in the system's part and in every
    /// value set that it names.
    fn part(&self, part: Node<'_>, work: &mut Work) -> Result<BTreeSet<Coding>, Wrong> {
        let mut codes: Option<BTreeSet<Coding>> = None;
        if let Some(url) = part.child_text("system") {
            let own = self.of_system(url, part, work)?;
            work.spend(own.len())?;
            codes = Some(own);
        }
        for named in part.children_named("valueSet").filter_map(Node::text) {
            let inner = self.set(named, work)?;
            work.spend(inner.len())?;
            codes = Some(match codes {
                None => (*inner).clone(),
                Some(codes) => codes.intersection(&inner).cloned().collect(),
            });
        }
        codes.ok_or_else(|| "names a value set with a part that says nothing".to_owned())
    }

    fn of_system(
        &self,
        url: &str,
        part: Node<'_>,
        work: &mut Work,
    ) -> Result<BTreeSet<Coding>, Wrong> {
        if part.child("concept").is_some() {
            let listed = part.children_named("concept");
            let codes = listed.filter_map(|concept| concept.child_text("code"));
            return Ok(owned(url, codes.collect()));
        }
        let system = self.system(url)?;
        let mut codes = system.all();
        for filter in part.children_named("filter") {
            work.spend(codes.len())?;
            let kept = filtered(system, filter)?;
            codes.retain(|code| kept.contains(code));
        }
        Ok(owned(url, codes))
    }
}

fn owned(system: &str, codes: BTreeSet<&str>) -> BTreeSet<Coding> {
    let codes = codes.into_iter();
    codes
        .map(|code| (system.to_owned(), code.to_owned()))
        .collect()
}

/// The codes that a filter keeps (FHIR R4 valueset-filter-operator).
fn filtered<'s>(system: &'s System, filter: Node<'_>) -> Result<BTreeSet<&'s str>, Wrong> {
    let text = |name: &str| filter.child_text(name).unwrap_or_default();
    let (property, operator, value) = (text("property"), text("op"), text("value"));
    let listed: BTreeSet<&str> = value.split(',').map(str::trim).collect();
    match (property, operator) {
        ("concept" | "code", "is-a") => Ok(system.reach(value, Toward::Below)),
        ("concept" | "code", "descendent-of") => {
            let mut below = system.reach(value, Toward::Below);
            below.remove(value);
            Ok(below)
        }
        ("concept" | "code", "is-not-a") => {
            let below = system.reach(value, Toward::Below);
            let mut all = system.all();
            all.retain(|code| !below.contains(code));
            Ok(all)
        }
        ("concept" | "code", "generalizes") => Ok(system.reach(value, Toward::Above)),
        ("concept" | "code", "=") => {
            let mut all = system.all();
            all.retain(|code| *code == value);
            Ok(all)
        }
        ("concept" | "code", "in") => {
            let mut all = system.all();
            all.retain(|code| listed.contains(code));
            Ok(all)
        }
        ("concept" | "code", "not-in") => {
            let mut all = system.all();
            all.retain(|code| !listed.contains(code));
            Ok(all)
        }
        ("parent", "=") => Ok(system.children(value)),
        _ => Err("names a value set with a filter that this server does not work out".to_owned()),
    }
}

/// A value set of FHIR R4 whose codes are listed.
fn of_standard(url: &str) -> Result<BTreeSet<Coding>, Wrong> {
    let known = Definitions::r4().value_set(url);
    let set = known.ok_or("names a value set that this server does not have")?;
    if !set.is_enumerated() {
        return Err("names a value set that this server cannot list".to_owned());
    }
    let codes = set.concepts.iter();
    Ok(codes
        .map(|concept| (concept.system.to_owned(), concept.code.to_owned()))
        .collect())
}

/// The codes of a value set that is stored as an expansion alone.
fn expanded(set: &Resource) -> Result<BTreeSet<Coding>, Wrong> {
    let none = || "names a value set that says neither what it is made of nor its codes".to_owned();
    let expansion = set.root().child("expansion").ok_or_else(none)?;
    let mut codes = BTreeSet::new();
    let mut count = 0_u64;
    let mut open: Vec<Node<'_>> = expansion.children_named("contains").collect();
    while let Some(entry) = open.pop() {
        open.extend(entry.children_named("contains"));
        count += 1;
        let (system, code) = (entry.child_text("system"), entry.child_text("code"));
        if let (Some(system), Some(code), true) =
            (system, code, entry.child_text("abstract") != Some("true"))
        {
            codes.insert((system.to_owned(), code.to_owned()));
        }
    }
    let total = expansion
        .child_text("total")
        .and_then(|text| text.parse::<u64>().ok());
    if total.is_some_and(|total| total > count) {
        return Err("names a value set of which only a part is stored".to_owned());
    }
    Ok(codes)
}
