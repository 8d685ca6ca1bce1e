//! The patients that an export is about.

use std::collections::BTreeSet;

use hilum_fhir::IssueType;
use hilum_fhir_store::Seq;

use super::{Asked, Level};
use crate::fault::Fault;
use crate::jobs::{Halt, Running};
use crate::tenant::Tenant;
use crate::write;

/// The ids of the patients that an export is limited to.
pub(super) async fn patients(
    running: &Running,
    asked: &Asked,
) -> Result<Option<BTreeSet<String>>, Halt> {
    let named: BTreeSet<String> = asked.patients.iter().cloned().collect();
    let Level::Group(id) = &asked.level else {
        return Ok((!named.is_empty()).then_some(named));
    };
    let tenant = &running.tenant;
    let members = members(tenant, id, running.job.seq).await?;
    if members.len() > running.fhir.limits.export_patients_max {
        let text = format!(
            "the group has more than {} patients",
            running.fhir.limits.export_patients_max
        );
        return Err(Fault::bad(IssueType::TooCostly, text).into());
    }
    if named.is_empty() {
        return Ok(Some(members));
    }
    Ok(Some(members.intersection(&named).cloned().collect()))
}

/// The patients of a group as of a moment; members that are inactive are left out.
async fn members(tenant: &Tenant, id: &str, at: Seq) -> Result<BTreeSet<String>, Fault> {
    let gone = || Fault::missing(IssueType::NotFound, "there is no such group");
    let stored = tenant
        .table
        .type_named("Group")
        .and_then(|ty| tenant.table.stored(ty));
    let stored = tenant
        .read(stored.ok_or_else(gone)?, id)
        .await?
        .ok_or_else(gone)?;
    let then = tenant.store.versions_at(vec![stored.pk], at).await?;
    let json = then.first().and_then(write::spliced).ok_or_else(gone)?;
    let group = write::trusted(&json)?;
    let mut members = BTreeSet::new();
    for member in group.root().children_named("member") {
        if member.child_text("inactive") == Some("true") {
            continue;
        }
        let entity = member
            .child("entity")
            .and_then(|entity| entity.child_text("reference"));
        let id = entity.and_then(|text| text.rsplit_once("Patient/"));
        if let Some((_, id)) = id {
            let id = id.split('/').next().unwrap_or_default();
            members.insert(id.to_owned());
        }
    }
    Ok(members)
}
