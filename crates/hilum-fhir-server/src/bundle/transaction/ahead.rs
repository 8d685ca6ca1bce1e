//! What the conditions of a transaction find, looked up together: a search by itself waits for a
//! thread that reads and is waited for, which costs more than finding an identifier.
//!
//! Looking ahead settles nothing. A condition that could not be looked up here is looked up where it
//! is needed, which says what is wrong with it and where.

use std::collections::{BTreeSet, HashMap, HashSet};

use hilum_fhir::definitions::TypeId;
use hilum_fhir_store::{Expect, Pk, Query, Stored};

use crate::bundle::link_url;
use crate::bundle::read::Item;
use crate::call::Call;
use crate::fault::Fault;
use crate::interaction::{Matches, condition, matches, type_named};

/// Conditions that are looked up at once.
const AT_ONCE: usize = 64;

/// A condition: a type and what is written after it.
type Condition = (TypeId, String);

/// What was found before it is needed.
#[derive(Default)]
pub(super) struct Ahead {
    /// Conditions as searches.
    queries: HashMap<Condition, Query>,
    /// What they found.
    found: HashMap<Condition, Vec<(Pk, String)>>,
    /// Resources that need not be created, whole.
    there: HashMap<Pk, Stored>,
}

/// The resource that a condition means, by its id.
pub(super) enum Named {
    None(Expect),
    One(String, Expect),
    Several,
}

impl Ahead {
    /// Looks up the conditions of creates and updates, and conditional references.
    pub(super) async fn look(call: &Call, items: &[Item], wanted: &BTreeSet<String>) -> Self {
        let of_items = items.iter().filter_map(|item| {
            let parts = item.parts();
            let name = *parts.first()?;
            let criteria = if item.method == http::Method::POST {
                item.conditions.if_none_exist.clone()?
            } else if item.method == http::Method::PUT && parts.len() == 1 {
                link_url("", &item.query)
            } else {
                return None;
            };
            Some((name.to_owned(), criteria))
        });
        let of_references = wanted.iter().filter_map(|text| {
            let (name, criteria) = text.split_once('?')?;
            Some((name.to_owned(), criteria.to_owned()))
        });
        let mut asked: HashMap<Condition, Query> = HashMap::new();
        let creates: HashSet<&str> = items
            .iter()
            .filter_map(|item| item.conditions.if_none_exist.as_deref())
            .map(|criteria| criteria.trim_start_matches('?'))
            .collect();
        for (name, criteria) in of_items.chain(of_references) {
            let Ok((ty, _)) = type_named(call, &name) else {
                continue;
            };
            let key = key(ty, &criteria);
            if asked.contains_key(&key) {
                continue;
            }
            if let Ok(query) = condition(call, ty, &criteria).await {
                asked.insert(key, query);
            }
        }
        let mut found = Self::default();
        if asked.len() < 2 {
            return found;
        }
        let mut rest: Vec<_> = asked.into_iter().collect();
        while !rest.is_empty() {
            let now = rest.split_off(rest.len().saturating_sub(AT_ONCE));
            let queries = now.iter().map(|(_, query)| query.clone()).collect();
            let Ok(named) = call.tenant.store.named(queries).await else {
                break;
            };
            let mut there = Vec::new();
            for ((key, query), named) in now.into_iter().zip(named) {
                if let ([(pk, _)], true) = (&named[..], creates.contains(&*key.1)) {
                    there.push(*pk);
                }
                found.queries.insert(key.clone(), query);
                found.found.insert(key, named);
            }
            if there.is_empty() {
                continue;
            }
            let Ok(there) = call.tenant.store.fetch(there).await else {
                break;
            };
            let each = there.into_iter().map(|stored| (stored.pk, stored));
            found.there.extend(each);
        }
        found
    }

    /// What a condition found, or finds now.
    pub(super) async fn named(
        &mut self,
        call: &Call,
        ty: TypeId,
        criteria: &str,
    ) -> Result<Named, Fault> {
        if let Some(named) = self.take(ty, criteria) {
            return Ok(named);
        }
        Ok(match matches(call, ty, criteria).await? {
            Matches::None(expect) => Named::None(expect),
            Matches::One(found, expect) => Named::One(found.id.to_string(), expect),
            Matches::Several => Named::Several,
        })
    }

    /// What the condition of a create found, or finds now.
    pub(super) async fn matches(
        &mut self,
        call: &Call,
        ty: TypeId,
        criteria: &str,
    ) -> Result<Matches, Fault> {
        let only = match self.found.get(&key(ty, criteria)).map(Vec::as_slice) {
            Some([(pk, _)]) => self.there.remove(pk),
            _ => None,
        };
        match (self.take(ty, criteria), only) {
            (Some(Named::None(expect)), _) => Ok(Matches::None(expect)),
            (Some(Named::One(_, expect)), Some(only)) => Ok(Matches::One(Box::new(only), expect)),
            (Some(Named::Several), _) => Ok(Matches::Several),
            (Some(Named::One(..)) | None, _) => matches(call, ty, criteria).await,
        }
    }

    fn take(&mut self, ty: TypeId, criteria: &str) -> Option<Named> {
        let condition = key(ty, criteria);
        let query = self.queries.remove(&condition)?;
        let mut found = self.found.remove(&condition)?;
        let expect = Expect::Search {
            query: Box::new(query),
            found: found.iter().map(|(pk, _)| *pk).collect(),
        };
        Some(match (found.pop(), found.is_empty()) {
            (None, _) => Named::None(expect),
            (Some((_, id)), true) => Named::One(id, expect),
            (Some(_), false) => Named::Several,
        })
    }
}

fn key(ty: TypeId, criteria: &str) -> Condition {
    (ty, criteria.trim_start_matches('?').to_owned())
}
