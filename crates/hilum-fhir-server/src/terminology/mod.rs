//! Questions about codes, answered from what is stored and from the standard.
//!
//! The definitions that a question needs are read from the store when it first needs them, compiled,
//! and kept until a definition is written ([`Codes`]). What a request brings along (`tx-resource`,
//! `valueSet`) goes before what is stored, which goes before what is of the standard.

mod answer;
mod cache;
pub(crate) mod capability;
mod given;
mod load;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use hilum_fhir::validate::Request;
use hilum_fhir::{IssueType, Problem, Resource};
use hilum_terminology::{Bindings, Failure, Issue, Library, Source, Terminology, Wanted};

use crate::call::Call;
use crate::fault::Fault;
use crate::take::heavy;
use crate::tenant::Tenant;

pub(crate) use answer::{Parameters, parts, refusal};
pub(crate) use cache::Codes;
pub(crate) use given::{Given, Value};
pub(crate) use load::naming_systems;

/// Definitions that one question may need.
const NEEDED_MAX: usize = 1_000;

/// How much work a question may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Looking things up.
    Light,
    /// Going through whole code systems.
    Heavy,
}

/// An answer, or why there is none.
pub(crate) type Told<T> = Result<T, Box<Issue>>;

/// Asks, loads what is missing, and asks again.
pub(crate) async fn ask<T: Send + 'static>(
    call: &Call,
    own: Option<Arc<Library>>,
    work: Work,
    question: impl Fn(&Terminology) -> Result<T, Failure> + Send + Sync + 'static,
) -> Result<Told<T>, Fault> {
    let known = call.tenant.codes.now();
    let terminology = Arc::new(call.tenant.codes.all(own, &known));
    let question = Arc::new(question);
    for _ in 0..NEEDED_MAX {
        let told = match work {
            Work::Light => question(&terminology),
            Work::Heavy => {
                let (question, terminology) = (Arc::clone(&question), Arc::clone(&terminology));
                let asked = tokio::task::spawn_blocking(move || question(&terminology));
                let broken = |_| Fault::failed("the work on codes was broken off");
                asked.await.map_err(broken)?
            }
        };
        match told {
            Ok(told) => return Ok(Ok(told)),
            Err(Failure::Missing(wanted)) => load_one(&call.tenant, &known, wanted).await?,
            Err(Failure::Refused(issue) | Failure::Unresolved(issue)) => return Ok(Err(issue)),
        }
    }
    let text = format!("the request needs more than {NEEDED_MAX} definitions");
    Err(Fault::bad(IssueType::TooCostly, text))
}

/// The stored definitions that work on resources goes by, and those that it turned out to need.
#[derive(Debug)]
pub(crate) struct Needs {
    known: Arc<cache::Known>,
    missing: Mutex<BTreeSet<Wanted>>,
}

impl Needs {
    fn taken(&self) -> BTreeSet<Wanted> {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *missing)
    }
}

/// Does work on resources, and does it again where definitions had to be loaded first: what came
/// out without them does not count.
pub(crate) async fn with_definitions<T: Send + 'static>(
    tenant: &Arc<Tenant>,
    bytes: usize,
    work: impl Fn(&Needs) -> Result<T, Fault> + Send + Sync + 'static,
) -> Result<T, Fault> {
    let work = Arc::new(work);
    let known = tenant.codes.now();
    for _ in 0..NEEDED_MAX {
        let needs = Arc::new(Needs {
            known: Arc::clone(&known),
            missing: Mutex::default(),
        });
        let (work, noted) = (Arc::clone(&work), Arc::clone(&needs));
        let done = heavy(bytes, move || work(&noted)).await;
        let missing = needs.taken();
        if missing.is_empty() {
            return done;
        }
        for wanted in missing {
            load_one(tenant, &known, wanted).await?;
        }
    }
    let text = format!("the request needs more than {NEEDED_MAX} definitions");
    Err(Fault::bad(IssueType::TooCostly, text))
}

/// Problems of a resource; its codes go by the value sets that are stored, then by those of
/// packages and of the standard.
pub(crate) fn validated(
    tenant: &Tenant,
    resource: &Resource,
    request: Request<'_>,
    needs: &Needs,
) -> Vec<Problem> {
    let all = tenant.codes.all(None, &needs.known);
    let stored = Terminology::new(vec![Arc::clone(&needs.known) as Arc<dyn Source>]);
    let bindings = Bindings::new(&stored, &all, &tenant.guides.codes);
    let request = Request {
        terminology: &bindings,
        ..request
    };
    let problems = tenant.validator.validate(resource, &request);
    let mut missing = needs.missing.lock().unwrap_or_else(PoisonError::into_inner);
    missing.extend(bindings.missing());
    problems
}

/// Loads one definition, in all its versions, into what is known.
pub(crate) async fn load_one(
    tenant: &Tenant,
    known: &cache::Known,
    wanted: Wanted,
) -> Result<(), Fault> {
    let loaded = load::load(tenant, &wanted).await?;
    known.put(wanted, loaded);
    Ok(())
}
