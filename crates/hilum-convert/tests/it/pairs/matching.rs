//! Which resource of theirs is which of ours.
//!
//! Ids say nothing, so a resource is known by the identifiers that it shares, by the places of other
//! resources that refer to it, and by what it says. The places are only as good as the matches of the
//! resources that they belong to, so matching is done in rounds.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::compare::{count, is_own_extension, likeness, normal};

/// Rounds of matching; each uses the matches of the one before.
const ROUNDS: usize = 4;

/// What a shared identifier and a shared place count, in equal fields.
const IDENTIFIER: usize = 6;
const PLACE: usize = 4;

/// A reference within a bundle.
struct Link {
    from: usize,
    path: String,
    to: usize,
}

/// The resources of a bundle; the last is the bundle itself without its entries.
pub(super) struct Side {
    all: Vec<Value>,
    at: HashMap<String, usize>,
    links: Vec<Link>,
    identifiers: Vec<BTreeSet<String>>,
}

impl Side {
    pub(super) fn read(bundle: &Value) -> Self {
        let entries = bundle["entry"].as_array().into_iter().flatten();
        let mut all: Vec<Value> = entries.map(|entry| entry["resource"].clone()).collect();
        let mut own = bundle.clone();
        if let Some(own) = own.as_object_mut() {
            own.remove("entry");
            own.remove("type");
        }
        all.push(own);
        let at = places(bundle);
        let left_out = left_out(&all, &at);
        let mut links = Vec::new();
        for (from, resource) in all.iter().enumerate() {
            let name = resource["resourceType"].as_str().unwrap_or("?");
            gather(resource, name, &mut |path, reference| {
                if let Some(to) = at.get(reference).copied().filter(|to| *to != from) {
                    let path = path.to_owned();
                    links.push(Link { from, path, to });
                }
            });
        }
        let identifiers = all.iter().map(identifiers).collect();
        for at in left_out {
            all[at] = Value::Null;
        }
        Self {
            all,
            at,
            links,
            identifiers,
        }
    }

    pub(super) fn name(&self, at: usize) -> &str {
        let resource = self.all.get(at);
        let name = resource.and_then(|resource| resource["resourceType"].as_str());
        name.unwrap_or("?")
    }

    /// The type of a resource with the first place that refers to it.
    pub(super) fn place(&self, at: usize) -> String {
        let first = self.links.iter().find(|link| link.to == at);
        let place = first.map_or("whole", |link| link.path.as_str());
        format!("{}({place})", self.name(at))
    }

    /// The resources as they are compared, with references as `point` writes them.
    pub(super) fn pointing(&self, point: &dyn Fn(usize, &str) -> String) -> Vec<Value> {
        let point = |reference: &str| {
            let at = *self.at.get(reference)?;
            Some(point(at, self.name(at)))
        };
        let all = self.all.iter();
        all.map(|resource| normal(resource, true, &point).unwrap_or(Value::Null))
            .collect()
    }
}

/// The entry that each reference leads to.
fn places(bundle: &Value) -> HashMap<String, usize> {
    let mut places = HashMap::new();
    let entries = bundle["entry"].as_array().into_iter().flatten();
    for (at, entry) in entries.enumerate() {
        if let Some(url) = entry["fullUrl"].as_str() {
            places.insert(url.to_owned(), at);
        }
        let resource = &entry["resource"];
        if let (Some(name), Some(id)) = (resource["resourceType"].as_str(), resource["id"].as_str())
        {
            places.insert(format!("{name}/{id}"), at);
        }
    }
    places
}

/// The resources that only an extension leads to which is itself left out, and those behind them.
fn left_out(all: &[Value], at: &HashMap<String, usize>) -> BTreeSet<usize> {
    let to = |value: &Value, everything: bool| {
        let mut found = BTreeSet::new();
        gather_all(value, "", everything, &mut |_, reference| {
            found.extend(at.get(reference).copied());
        });
        found
    };
    let mut left_out = BTreeSet::new();
    loop {
        let kept = || {
            all.iter()
                .enumerate()
                .filter(|(at, _)| !left_out.contains(at))
        };
        let named: BTreeSet<usize> = all.iter().flat_map(|value| to(value, true)).collect();
        let needed: BTreeSet<usize> = kept().flat_map(|(_, value)| to(value, false)).collect();
        let more: BTreeSet<usize> = named.difference(&needed).copied().collect();
        if more.is_subset(&left_out) {
            return left_out;
        }
        left_out.extend(more);
    }
}

/// All references of a value with their paths, but for those in extensions that are left out.
fn gather(value: &Value, path: &str, found: &mut dyn FnMut(&str, &str)) {
    gather_all(value, path, false, found);
}

fn gather_all(value: &Value, path: &str, everything: bool, found: &mut dyn FnMut(&str, &str)) {
    match value {
        Value::Object(_) if !everything && is_own_extension(value) => {}
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str().filter(|_| name == "reference") {
                    Some(reference) => found(path, reference),
                    None => gather_all(value, &format!("{path}.{name}"), everything, found),
                }
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| gather_all(item, path, everything, found)),
        _ => {}
    }
}

/// The values of a resource's identifiers, an OID in either form.
fn identifiers(resource: &Value) -> BTreeSet<String> {
    let all = resource["identifier"].as_array().into_iter().flatten();
    let values = all.filter_map(|identifier| identifier["value"].as_str());
    values
        .map(|value| value.trim_start_matches("urn:oid:").to_owned())
        .collect()
}

/// For each of theirs the one of ours.
pub(super) fn match_entries(theirs: &Side, ours: &Side) -> Vec<Option<usize>> {
    let mut matched = vec![None; theirs.all.len()];
    for round in 0..ROUNDS {
        matched = one_round(theirs, ours, &matched, round == 0);
    }
    matched
}

fn one_round(
    theirs: &Side,
    ours: &Side,
    before: &[Option<usize>],
    first: bool,
) -> Vec<Option<usize>> {
    let their_values = theirs.pointing(&|at, name| match before.get(at).copied().flatten() {
        Some(our) if !first => format!("→ {name} {our}"),
        _ => format!("→ {name}"),
    });
    let our_values = ours.pointing(&|at, name| {
        if first {
            format!("→ {name}")
        } else {
            format!("→ {name} {at}")
        }
    });
    // Before anything is matched, a place is the same when a resource of the same type has it.
    let same_place = |their: &Link, our: &Link| {
        their.path == our.path
            && (first || before.get(their.from).copied().flatten() == Some(our.from))
    };
    let shared_places = |t: usize, o: usize| {
        let of_theirs = theirs.links.iter().filter(|link| link.to == t);
        of_theirs
            .filter(|their| {
                let mut of_ours = ours.links.iter().filter(|link| link.to == o);
                of_ours.any(|our| same_place(their, our))
            })
            .count()
    };
    struct Candidate {
        score: usize,
        t: usize,
        o: usize,
        /// The same identifier, the same place, or nearly the same in all.
        sure: bool,
        /// Both have identifiers and none is the same.
        apart: bool,
    }
    let mut candidates = Vec::new();
    for (t, their) in their_values.iter().enumerate() {
        for o in (0..our_values.len()).filter(|o| ours.name(*o) == theirs.name(t)) {
            let alike = likeness(their, &our_values[o]);
            let shared = theirs.identifiers[t]
                .intersection(&ours.identifiers[o])
                .count();
            let places = shared_places(t, o);
            candidates.push(Candidate {
                score: alike + shared * IDENTIFIER + places * PLACE,
                t,
                o,
                sure: shared > 0 || places > 0 || alike * 10 >= count(their) * 7,
                apart: shared == 0
                    && !theirs.identifiers[t].is_empty()
                    && !ours.identifiers[o].is_empty(),
            });
        }
    }
    candidates.sort_by(|a, b| (b.score, a.t, a.o).cmp(&(a.score, b.t, b.o)));
    let mut matched = vec![None; their_values.len()];
    let mut used = vec![false; our_values.len()];
    for one in candidates.iter().filter(|one| one.sure || !one.apart) {
        if matched[one.t].is_none() && !used[one.o] {
            matched[one.t] = Some(one.o);
            used[one.o] = true;
        }
    }
    for one in candidates.iter().filter(|one| one.sure) {
        if matched[one.t].is_none() {
            matched[one.t] = Some(one.o);
        }
    }
    matched
}
