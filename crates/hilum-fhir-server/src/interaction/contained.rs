//! Searches for contained resources: `_contained` and `_containedType` (FHIR R4
//! search.html#contained).
//!
//! The index finds what contains a match. If the contained resource alone is asked for, each of what
//! a container contains is asked once more, as a subscription asks what is written.

use std::sync::Arc;

use hilum_fhir::definitions::TypeId;
use hilum_fhir::{IssueType, Resource, Style, json};
use hilum_fhir_store::{
    Condition, Contained, Criterion, Query, ResourceType, SortBy, StoreError, Stored, Test, Total,
};

use crate::call::Call;
use crate::fault::Fault;
use crate::index;
use crate::search::{Search, View};
use crate::write;

/// What is asked for beside resources of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Only,
    Both,
}

/// How contained resources are searched for and given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    which: Which,
    /// Alone, without what contains them.
    alone: bool,
}

/// Matches that are given without what contains them.
#[derive(Debug)]
pub(super) struct Alone {
    of: TypeId,
    stored: ResourceType,
    condition: Arc<Condition>,
    /// Resources that are not contained are given as well.
    both: bool,
}

fn wrong(text: &str) -> Fault {
    Fault::bad(IssueType::NotSupported, text)
}

/// Takes out of the parameters what they say about contained resources.
pub(super) fn take(pairs: &mut Vec<(String, String)>) -> Result<Option<Asked>, Fault> {
    let (mut which, mut alone) = (None, false);
    for (name, value) in pairs.iter() {
        match (name.as_str(), value.as_str()) {
            ("_contained", "false") => which = None,
            ("_contained", "true") => which = Some(Which::Only),
            ("_contained", "both") => which = Some(Which::Both),
            ("_contained", _) => {
                let text = "`_contained` is none of true, both, false";
                return Err(Fault::bad(IssueType::Value, text));
            }
            ("_containedType", "container") => alone = false,
            ("_containedType", "contained") => alone = true,
            ("_containedType", _) => {
                let text = "`_containedType` is neither container nor contained";
                return Err(Fault::bad(IssueType::Value, text));
            }
            _ => {}
        }
    }
    pairs.retain(|(name, _)| name != "_contained" && name != "_containedType");
    Ok(which.map(|which| Asked { which, alone }))
}

impl Asked {
    /// Turns a search for resources of a type into one for what contains them.
    pub(super) fn apply(
        self,
        call: &Call,
        of: TypeId,
        search: &mut Search,
    ) -> Result<Option<Alone>, Fault> {
        let stored = call.tenant.table.stored(of);
        let stored = stored.ok_or_else(|| wrong("this type is never contained"))?;
        if !search.query.criteria.iter().all(is_about_values) {
            return Err(wrong(
                "`_contained` cannot be combined with `_has`, `_list`, `_text` and `_content`",
            ));
        }
        if let Some(key) = search.query.sort.iter().find(|key| key.by != SortBy::Id)
            && key.by != SortBy::LastUpdated
        {
            return Err(wrong(
                "with `_contained` matches are sorted by `_id` or `_lastUpdated`",
            ));
        }
        let query = &mut search.query;
        let own = std::mem::take(&mut query.types);
        let criteria = std::mem::take(&mut query.criteria);
        let alone = if self.alone {
            if search.view != View::Full || !search.includes.is_empty() {
                return Err(wrong(
                    "`_containedType=contained` cannot be combined with `_summary`, `_elements`, \
                     `_include`, `_revinclude` and `_count=0`",
                ));
            }
            query.total = Total::None;
            Some(self.alone(call, of, stored, &criteria)?)
        } else {
            None
        };
        let inside = Criterion::Contained(Box::new(Contained {
            types: vec![stored],
            criteria: criteria.clone(),
        }));
        query.criteria.push(match self.which {
            Which::Only => inside,
            Which::Both => {
                let mut all = vec![Criterion::Types(own)];
                all.extend(criteria);
                Criterion::Or(vec![Criterion::And(all), inside])
            }
        });
        Ok(alone)
    }

    fn alone(
        self,
        call: &Call,
        of: TypeId,
        stored: ResourceType,
        criteria: &[Criterion],
    ) -> Result<Alone, Fault> {
        let query = Query {
            types: vec![stored],
            criteria: criteria.to_vec(),
            ..Query::default()
        };
        let condition = call.tenant.store.condition(&query).map_err(|error| match error {
            StoreError::Invalid(_) => wrong(
                "`_containedType=contained` cannot be combined with chains and `_lastUpdated`; ask \
                 for containers",
            ),
            error => error.into(),
        })?;
        Ok(Alone {
            of,
            stored,
            condition: Arc::new(condition),
            both: self.which == Which::Both,
        })
    }
}

/// What is found by values alone, which contained resources have as well.
fn is_about_values(criterion: &Criterion) -> bool {
    match criterion {
        Criterion::Param { test, .. } | Criterion::ParamNot { test, .. } => {
            !matches!(test, Test::FullText(_))
        }
        Criterion::Missing { .. }
        | Criterion::Chain(_)
        | Criterion::Ids(_)
        | Criterion::LastUpdated(_)
        | Criterion::Types(_) => true,
        Criterion::Has(_) | Criterion::Resources(_) | Criterion::Contained(_) => false,
        Criterion::And(all) | Criterion::Or(all) => all.iter().all(is_about_values),
        Criterion::Not(inner) => is_about_values(inner),
    }
}

impl Alone {
    /// The matches in a resource, each with the end of its URL.
    pub(super) fn of(&self, call: &Call, stored: &Stored) -> Result<Vec<(String, Vec<u8>)>, Fault> {
        let Some(json) = write::spliced(stored) else {
            return Ok(Vec::new());
        };
        let resource = write::trusted(&json)?;
        let mut found = Vec::new();
        if self.both && stored.resource_type == self.stored && self.fits(call, &resource)? {
            found.push((String::new(), json));
        }
        for inner in index::contained(&resource) {
            if inner.type_id() == self.of && self.fits(call, &inner)? {
                let mut bytes = Vec::new();
                json::write(&inner, Style::Compact, &mut bytes);
                let id = inner.root().child_text("id").unwrap_or_default();
                found.push((format!("#{id}"), bytes));
            }
        }
        Ok(found)
    }

    fn fits(&self, call: &Call, resource: &Resource) -> Result<bool, Fault> {
        let rows = index::values(&call.tenant.table, resource);
        let id = resource.root().child_text("id").unwrap_or_default();
        let searchable = call.tenant.store.searchable(self.stored, id, &rows)?;
        Ok(self.condition.holds(&searchable))
    }
}
