//! Updates that carry the time of their source, merged with what is there.
//!
//! What is there is read when the transaction is prepared and expected to be there still when it is
//! written; if not, the transaction is prepared anew.

use std::collections::HashMap;

use hilum_fhir::definitions::TypeId;
use hilum_fhir_store::{Body, Expect, Expected, IndexRow, Stored};

use super::{Plan, Prepared, Verb};
use crate::as_of::{self, Current, Outcome, Timed, Times};
use crate::bundle::read::Item;
use crate::call::Call;
use crate::fault::Fault;
use crate::take::Taken;
use crate::tenant::Tenant;
use crate::write;

/// The owner of expectations about what was merged with: nobody asked for them.
pub(super) const MERGED: usize = usize::MAX - 1;

/// What is there of a resource that an update with a time is about.
pub(super) struct Known {
    pub(super) stored: Stored,
    /// What comes has content beside its text.
    apart: bool,
}

/// What a resource becomes.
pub(super) struct Became {
    taken: Taken,
    /// When it was so, beside it.
    times: Option<Times>,
    /// What is there, where that stays.
    stays: Option<Box<Stays>>,
}

struct Stays {
    current: Stored,
    /// Nothing that comes is written at all.
    same: bool,
    times: Times,
}

impl Became {
    /// Of a request without a time.
    pub(super) const fn plain(taken: Taken) -> Self {
        Self {
            taken,
            times: None,
            stays: None,
        }
    }

    pub(super) const fn taken(&self) -> &Taken {
        &self.taken
    }

    /// It is current from now on, and no old state for the history.
    pub(super) const fn is_newest(&self) -> bool {
        self.stays.is_none()
    }

    /// What is current from now on, with its times.
    pub(super) fn now(&self) -> Option<(&[u8], Times)> {
        match &self.stays {
            None => Some((&self.taken.json, self.times.clone()?)),
            Some(stays) => {
                let body = stays.current.body.as_ref()?;
                Some((&body.bytes, stays.times.clone()))
            }
        }
    }

    /// The versions that are written, the last of which is current from then on.
    pub(super) fn bodies(&mut self, id: &str) -> Vec<(Body, Vec<IndexRow>)> {
        let rows = std::mem::take(&mut self.taken.rows);
        let mut body = self.taken.body(id);
        match &self.stays {
            None => {
                if let Some(times) = &self.times {
                    body.beside = times.write();
                }
                vec![(body, rows)]
            }
            Some(stays) => {
                body.beside = as_of::late();
                let again = stays.current.body.clone().unwrap_or_default();
                let again = Body {
                    beside: stays.times.write_again(),
                    ..again
                };
                // What is found stays what it is.
                vec![(body, rows.clone()), (again, rows)]
            }
        }
    }
}

/// Reads what is there of the resources that are updated with a time.
pub(super) async fn known(
    call: &Call,
    items: &[Item],
    prepared: &mut Prepared,
) -> Result<HashMap<usize, Known>, Fault> {
    let mut known = HashMap::new();
    for (item, plan) in items.iter().zip(&prepared.plans) {
        let Plan::Write(write) = plan else { continue };
        if item.timed.is_none() || write.method == Verb::Create || write.patched.is_some() {
            continue;
        }
        let stored = call
            .tenant
            .store
            .read_apart(write.resource_type, &write.id)
            .await?;
        let stored = stored.filter(|stored| stored.body.is_some());
        let version = stored.as_ref().map(|stored| stored.version);
        prepared.expectations.push(Expect::Version {
            resource_type: write.resource_type,
            id: write.id.clone(),
            expected: version.map_or(Expected::Absent, Expected::Exactly),
        });
        prepared.owners.push(MERGED);
        if let Some(stored) = stored {
            let apart = call.beside.is_some();
            known.insert(item.at, Known { stored, apart });
        }
    }
    Ok(known)
}

/// What a resource with a time becomes.
pub(super) fn became(
    (tenant, ty): (&Tenant, TypeId),
    item: &Item,
    (json, timed): (Vec<u8>, &Timed),
    known: Option<&Known>,
    take: &dyn Fn(Vec<u8>) -> Result<Taken, Fault>,
) -> Result<Became, Fault> {
    let written = |taken, times| Became {
        taken,
        times: Some(times),
        stays: None,
    };
    let Some(Known { stored, apart }) = known else {
        let json = match timed.takes_back.as_slice() {
            [] => json,
            names => as_of::without(&json, names),
        };
        let fills = item.conditions.if_none_exist.is_some();
        let times = match fills {
            true => Times::gap(timed.time),
            false => as_of::fresh(ty, timed),
        };
        return Ok(written(take(json)?, times));
    };
    let body = stored.body.clone().unwrap_or_default();
    let times = Times::of(&body, stored.updated_ms);
    let current = Current {
        json: &body.bytes,
        times: times.clone(),
        apart: *apart || !body.apart.is_empty(),
    };
    let stays = |taken, same| Became {
        taken,
        times: None,
        stays: Some(Box::new(Stays {
            current: stored.clone(),
            same,
            times,
        })),
    };
    match as_of::merge(ty, &current, &json, timed) {
        Outcome::Replaced(times) => Ok(written(take(json)?, times)),
        Outcome::Merged(json, times) => Ok(written(take(json)?, times)),
        Outcome::Same => Ok(stays(take(json)?, body.apart.is_empty())),
        Outcome::Late => {
            let mut taken = take(as_of::tagged(&json))?;
            let there = write::trusted(&write::spliced(stored).unwrap_or_default())?;
            taken.rows = tenant.rows(&there);
            Ok(stays(taken, false))
        }
    }
}

/// Leaves alone what says nothing new.
pub(super) fn leave(plans: &mut [Plan], taken: &mut HashMap<usize, Became>) {
    for (at, plan) in plans.iter_mut().enumerate() {
        let same = taken.get(&at).and_then(|became| became.stays.as_deref());
        if let Some(stays) = same.filter(|stays| stays.same) {
            *plan = Plan::There(Box::new(stays.current.clone()));
        }
    }
}
