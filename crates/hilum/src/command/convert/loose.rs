//! Resources that stand by themselves: files of one each, and the lines of a bulk export.
//!
//! A message is about a patient, so that those about one patient are taken together as the Bundle that
//! somebody who asked for this patient would get. What is about nobody (practitioners, places) is
//! found by the references to it.

use std::collections::HashMap;

use hilum_convert::reverse::Resolver;
use hilum_fhir::{Limits, Resource, Style, json};

/// Resources without a Bundle.
#[derive(Default)]
pub(super) struct Loose {
    all: Vec<One>,
    /// By type and id: `Patient/7`.
    known: HashMap<String, usize>,
}

/// A resource as compact JSON; a tree for each would take many times the room.
struct One {
    name: String,
    text: String,
    /// `Patient/7`.
    patient: Option<String>,
}

/// Resources that become messages together.
pub(super) struct Group {
    pub(super) name: String,
    pub(super) resource: Resource,
}

/// Resources that are too many or too large to be taken together.
pub(super) struct Unmade {
    pub(super) name: String,
    pub(super) why: String,
}

impl Loose {
    pub(super) fn add(&mut self, name: String, resource: &Resource) -> anyhow::Result<()> {
        let root = resource.root();
        if let Some(id) = root.child_text("id") {
            let key = format!("{}/{id}", resource.type_name());
            self.known.entry(key).or_insert(self.all.len());
        }
        let mut text = Vec::new();
        json::write(resource, Style::Compact, &mut text);
        self.all.push(One {
            name,
            text: String::from_utf8(text)?,
            patient: patient(resource),
        });
        Ok(())
    }

    /// How many are about no patient.
    pub(super) fn about_nobody(&self) -> usize {
        match self.all.as_slice() {
            [_] => 0,
            all => all.iter().filter(|one| one.patient.is_none()).count(),
        }
    }

    /// One by itself, or those about each patient in the order in which they came.
    pub(super) fn groups(&self) -> impl Iterator<Item = Result<Group, Unmade>> {
        let mut order: Vec<(&str, Vec<&One>)> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for one in &self.all {
            let Some(patient) = one.patient.as_deref() else {
                continue;
            };
            let at = *places.entry(patient).or_insert(order.len());
            match order.get_mut(at) {
                Some((_, members)) => members.push(one),
                None => order.push((patient, vec![one])),
            }
        }
        let alone = match self.all.as_slice() {
            [only] => {
                order.clear();
                Some(only)
            }
            _ => None,
        };
        let alone = alone.map(|one| group(one.name.clone(), &one.text));
        alone.into_iter().chain(order.into_iter().map(bundle))
    }
}

fn bundle((patient, members): (&str, Vec<&One>)) -> Result<Group, Unmade> {
    let mut text = r#"{"resourceType":"Bundle","type":"collection","entry":["#.to_owned();
    for (at, one) in members.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push_str(r#"{"resource":"#);
        text.push_str(&one.text);
        text.push('}');
    }
    text.push_str("]}");
    group(patient.to_owned(), &text)
}

fn group(name: String, text: &str) -> Result<Group, Unmade> {
    let limits = Limits::default();
    match json::parse(text.as_bytes(), &limits) {
        Ok(resource) => Ok(Group { name, resource }),
        Err(problems) => Err(Unmade {
            name,
            why: problems.to_string(),
        }),
    }
}

/// The patient that a resource is or is about: the first that it refers to.
fn patient(resource: &Resource) -> Option<String> {
    let root = resource.root();
    if resource.type_name() == "Patient" {
        return Some(format!("Patient/{}", root.child_text("id")?));
    }
    resource.nodes().find_map(|node| {
        let text = node.child_text("reference")?;
        let key = key(text)?;
        key.starts_with("Patient/").then_some(key)
    })
}

/// Type and id of a reference, without the server and the version.
pub(super) fn key(reference: &str) -> Option<String> {
    let text = reference.split_once("/_history/");
    let text = text.map_or(reference, |(text, _)| text);
    let (rest, id) = text.rsplit_once('/')?;
    let ty = rest.rsplit_once('/').map_or(rest, |(_, ty)| ty);
    Some(format!("{ty}/{id}"))
}

impl Resolver for Loose {
    fn resolve(&self, reference: &str) -> Option<Resource> {
        let at = self.known.get(&key(reference)?)?;
        let one = self.all.get(*at)?;
        json::parse(one.text.as_bytes(), &Limits::default()).ok()
    }
}
