//! Bundles: batch and transaction (FHIR R4 http.html#transaction), and the writing of result pages.

mod batch;
mod read;
mod reference;
mod transaction;
mod writer;

use std::sync::Arc;

use hilum_access::{Method, Permission};
use hilum_component::BoxFuture;
use hilum_fhir::IssueType;
use hilum_fhir::definitions::Definitions;

pub(crate) use batch::add as add_answer;
pub(crate) use reference::relative;
pub(crate) use writer::{Bundle, EntryWriter, link_url};

use crate::call::{Call, Reply};
use crate::fault::Fault;
use crate::route::{Claim, Entry, entry};

/// The name of the route that takes bundles; no entry of a bundle may name it.
const NAME: &str = "bundle";

pub(crate) fn routes() -> Vec<Entry> {
    let about = "Does the requests of a batch one by one, or those of a transaction together";
    let permission = Permission::FhirBatch;
    let mut also = entry(
        "batch",
        Method::Post,
        "/",
        permission,
        about,
        Claim::System("batch"),
        handle,
    );
    also.route.name = NAME;
    vec![
        also,
        Entry {
            claim: Claim::System("transaction"),
            ..also
        },
    ]
}

fn handle(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        call.knows_only(&[])?;
        let bundle = Definitions::r4().type_named("Bundle");
        let bundle = Arc::new(call.resource(bundle).await?);
        let items = read::items(&bundle, call.fhir.limits.bundle_entries_max)?;
        match bundle.root().child_text("type") {
            Some("batch") => batch::run(&call, &bundle, &items).await,
            Some("transaction") => transaction::run(&call, &bundle, items).await,
            _ => {
                let text = "the bundle is neither a batch nor a transaction";
                Err(Fault::bad(IssueType::Invalid, text).within("Bundle.type"))
            }
        }
    })
}
