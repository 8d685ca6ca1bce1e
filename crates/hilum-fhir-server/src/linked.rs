//! Searches follow links: what is asked of a patient or visit is asked of those that it replaces too, and
//! what is asked of one that was replaced is asked of whoever stands for it now (FHIR R4 Patient.link).
//!
//! Nothing is written anywhere else when two are merged: what refers to the former one refers to it as
//! before, so that taking the merge back takes nothing apart. Visits have no such link in R4; a merge
//! (A42) notes it in an extension beside `partOf` ([`MERGED_INTO`]).
//!
//! Who was merged into one patient and later into another one is the second one's alone, as in the state of
//! identity: of several links to who replaces it the newest counts, which the store has first.
//!
//! A search for one without links costs one look at it and one at what refers to it. Links that only say
//! that two are of one person (`seealso`) are not followed, since both stay in use; neither are chains,
//! but for the identifier.

use std::collections::{BTreeSet, HashMap, VecDeque};

use hilum_fhir::Node;
use hilum_fhir_store::{
    Chain, Criterion, ParamKey, Query, ReferenceTest, ResourceType, Stored, Test,
};
use hilum_message::as_of::MERGED_INTO;

use crate::call::Call;
use crate::fault::Fault;
use crate::write;

/// Those that stand for one patient or visit at most, and those that an identifier of a chain finds.
const LINKED_MAX: u32 = 64;

/// The types that are linked, and the parameter that finds what refers to one of them by its link.
const LINKING: [(&str, &str); 2] = [("Patient", "link"), ("Encounter", "part-of")];

/// A type that is linked, in this tenant.
struct Linking {
    name: &'static str,
    ty: ResourceType,
    by: ParamKey,
}

/// Asks also of those who are linked with whom a query asks of.
pub(crate) async fn follow(call: &Call, query: &mut Query) -> Result<(), Fault> {
    for linking in linkings(call) {
        for criterion in &mut query.criteria {
            if let Some(found) = chained(call, &linking, criterion).await? {
                *criterion = found;
            }
        }
        let mut asked = BTreeSet::new();
        let mut collect = |tests: &mut Vec<ReferenceTest>| {
            asked.extend(tests.iter().filter_map(|test| linking.id(test)));
        };
        each(&mut query.criteria, &linking, &mut collect);
        let mut groups = HashMap::new();
        for id in asked {
            let others = others(call, &linking, &id).await?;
            if !others.is_empty() {
                groups.insert(id, others);
            }
        }
        if groups.is_empty() {
            continue;
        }
        let mut widen = |tests: &mut Vec<ReferenceTest>| {
            let ids = tests.iter().filter_map(|test| linking.id(test));
            let more: BTreeSet<&String> = ids.filter_map(|id| groups.get(&id)).flatten().collect();
            tests.extend(more.into_iter().map(|id| linking.reference(id)));
        };
        each(&mut query.criteria, &linking, &mut widen);
    }
    Ok(())
}

fn linkings(call: &Call) -> impl Iterator<Item = Linking> + use<> {
    let table = &call.tenant.table;
    let found = LINKING.into_iter().filter_map(|(name, code)| {
        let ty = table.type_named(name)?;
        Some(Linking {
            name,
            ty: table.stored(ty)?,
            by: table.param(ty, code)?.key,
        })
    });
    found.collect::<Vec<_>>().into_iter()
}

impl Linking {
    /// The id that a test names, if it may be of this type.
    fn id(&self, test: &ReferenceTest) -> Option<String> {
        match test {
            ReferenceTest::Local(types, id) if types.contains(&self.ty) => Some(id.clone()),
            ReferenceTest::Local(..) | ReferenceTest::Url(_) => None,
        }
    }

    fn reference(&self, id: &str) -> ReferenceTest {
        ReferenceTest::Local(vec![self.ty], id.to_owned())
    }

    /// Who stands for a resource, and whom it stands for.
    fn links(&self, stored: &Stored) -> Result<Links, Fault> {
        let Some(json) = write::spliced(stored) else {
            return Ok(Links::default());
        };
        let resource = write::trusted(&json)?;
        let root = resource.root();
        let id = |reference: Option<Node<'_>>| {
            let (ty, id) = reference?.child_text("reference")?.split_once('/')?;
            (ty == self.name).then(|| id.to_owned())
        };
        if self.name != "Patient" {
            let mut merged = root
                .children_named("extension")
                .filter(|one| one.child_text("url") == Some(MERGED_INTO));
            return Ok(Links {
                by: merged.find_map(|one| id(one.child("value"))),
                replaces: Vec::new(),
            });
        }
        let of = |kind: &'static str| {
            let links = root.children_named("link");
            let links = links.filter(move |link| link.child_text("type") == Some(kind));
            links.filter_map(move |link| id(link.child("other")))
        };
        Ok(Links {
            // The store has the newest first.
            by: of("replaced-by").next(),
            replaces: of("replaces").collect(),
        })
    }
}

/// The links of one resource.
#[derive(Clone, Debug, Default)]
struct Links {
    /// Who stands for it. Who was merged into two, one after the other, is the second one's.
    by: Option<String>,
    /// Whom it stands for, as it says itself.
    replaces: Vec<String>,
}

impl Links {
    /// Whether another one stands for it, which says so or is the only one that says so.
    fn is_under(&self, other: &str, says_so: bool) -> bool {
        match &self.by {
            Some(by) => by == other,
            None => says_so,
        }
    }
}

/// Calls for the references of a query that may be of this type, but those of the links themselves.
fn each(
    criteria: &mut [Criterion],
    linking: &Linking,
    visit: &mut dyn FnMut(&mut Vec<ReferenceTest>),
) {
    for criterion in criteria {
        match criterion {
            Criterion::Param { params, test } if params.as_slice() != [linking.by] => {
                if let Test::Reference(tests) = test {
                    visit(tests);
                }
            }
            Criterion::And(all) | Criterion::Or(all) => each(all, linking, visit),
            Criterion::Has(has) => each(&mut has.criteria, linking, visit),
            Criterion::Not(inner) => each(std::slice::from_mut(inner), linking, visit),
            Criterion::Param { .. }
            | Criterion::ParamNot { .. }
            | Criterion::Missing { .. }
            | Criterion::Chain(_)
            | Criterion::Contained(_)
            | Criterion::Ids(_)
            | Criterion::Resources(_)
            | Criterion::LastUpdated(_)
            | Criterion::Types(_) => {}
        }
    }
}

/// All that are one with a resource, itself left out.
async fn others(call: &Call, linking: &Linking, id: &str) -> Result<BTreeSet<String>, Fault> {
    let mut found = BTreeSet::from([id.to_owned()]);
    let mut open = VecDeque::from([id.to_owned()]);
    while let Some(next) = open.pop_front() {
        let own = links(call, linking, &next).await?;
        let mut linked: Vec<String> = own.by.iter().cloned().collect();
        for other in &own.replaces {
            if links(call, linking, other).await?.is_under(&next, true) {
                linked.push(other.clone());
            }
        }
        let referring = Query {
            types: vec![linking.ty],
            criteria: vec![Criterion::Param {
                params: vec![linking.by],
                test: Test::Reference(vec![linking.reference(&next)]),
            }],
            count: LINKED_MAX,
            ..Query::default()
        };
        for other in call.tenant.search(referring).await?.found {
            // It refers to this one, though perhaps by a link of another kind, or an older one.
            let (id, its) = (&*other.stored.id, linking.links(&other.stored)?);
            if its.is_under(&next, false) || own.is_under(id, its.replaces.contains(&next)) {
                linked.push(id.to_owned());
            }
        }
        for id in linked {
            if found.len() < LINKED_MAX as usize && found.insert(id.clone()) {
                open.push_back(id);
            }
        }
    }
    found.remove(id);
    Ok(found)
}

/// The links of the resource with an id; none if there is no such resource.
async fn links(call: &Call, linking: &Linking, id: &str) -> Result<Links, Fault> {
    match call.tenant.read(linking.ty, id).await? {
        Some(own) => linking.links(&own),
        None => Ok(Links::default()),
    }
}

/// `patient.identifier=…` of somebody who is linked, as the patients that are meant.
async fn chained(
    call: &Call,
    linking: &Linking,
    criterion: &Criterion,
) -> Result<Option<Criterion>, Fault> {
    let Criterion::Chain(chain) = criterion else {
        return Ok(None);
    };
    let table = &call.tenant.table;
    let identifier = table.type_named(linking.name);
    let identifier = identifier.and_then(|ty| table.param(ty, "identifier"));
    let Chain {
        params,
        types,
        criteria,
    } = &**chain;
    let by_identifier = |criterion: &Criterion| match criterion {
        Criterion::Param { params, .. } => identifier
            .as_ref()
            .is_some_and(|known| params.contains(&known.key)),
        _ => false,
    };
    if !types.contains(&linking.ty) || !criteria.iter().all(by_identifier) {
        return Ok(None);
    }
    let meant = Query {
        types: vec![linking.ty],
        criteria: criteria.clone(),
        count: LINKED_MAX,
        ..Query::default()
    };
    let meant = call.tenant.search(meant).await?;
    let mut more = BTreeSet::new();
    for found in meant.found {
        more.extend(others(call, linking, &found.stored.id).await?);
    }
    if more.is_empty() {
        return Ok(None);
    }
    let test = Test::Reference(more.iter().map(|id| linking.reference(id)).collect());
    let others = Criterion::Param {
        params: params.clone(),
        test,
    };
    Ok(Some(Criterion::Or(vec![criterion.clone(), others])))
}
