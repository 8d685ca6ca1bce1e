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

use std::sync::Arc;

use hilum_fhir::IssueType;
use hilum_terminology::{Failure, Issue, Library, Source, Standard, Terminology, Wanted};

use crate::call::Call;
use crate::fault::Fault;
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
    let mut sources: Vec<Arc<dyn Source>> = Vec::with_capacity(3);
    if let Some(own) = own {
        sources.push(own);
    }
    sources.push(Arc::clone(&known) as Arc<dyn Source>);
    sources.push(Standard::r4());
    let terminology = Arc::new(Terminology::new(sources));
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
