//! Which resources belong to patients (FHIR R4 compartmentdefinition-patient.html).

use std::collections::{BTreeSet, HashMap};

use hilum_fhir::definitions::TypeId;
use hilum_fhir::search::{ParamId, SearchValue, extract};
use hilum_fhir_store::{Criterion, ReferenceTest, ResourceType, Stored, Test};

use crate::fault::Fault;
use crate::tenant::Tenant;
use crate::write;

/// The types that can belong to patients, each with the parameters that say so; Patient itself has
/// none.
pub(crate) fn compartment(tenant: &Tenant) -> HashMap<TypeId, Vec<&'static str>> {
    let table = &tenant.table;
    let mut types = HashMap::new();
    let all = table.definitions.compartments().iter();
    for compartment in all.filter(|one| table.name(one.resource) == "Patient") {
        types.insert(compartment.resource, Vec::new());
        for member in compartment.members.iter() {
            let params: Vec<_> = member.params.to_vec();
            if !params.is_empty() && table.stored(member.resource).is_some() {
                types.entry(member.resource).or_insert(params);
            }
        }
    }
    types
}

/// What finds the resources of a type that belong to some patients.
pub(crate) fn criterion(
    tenant: &Tenant,
    ty: TypeId,
    patients: &[String],
) -> Result<Criterion, Fault> {
    let table = &tenant.table;
    let patient: Vec<ResourceType> = table
        .type_named("Patient")
        .and_then(|ty| table.stored(ty))
        .into_iter()
        .collect();
    if table.name(ty) == "Patient" {
        let of = |id: &String| patient.first().map(|ty| (*ty, id.clone()));
        return Ok(Criterion::Resources(
            patients.iter().filter_map(of).collect(),
        ));
    }
    let codes = compartment(tenant).remove(&ty).unwrap_or_default();
    let params = codes
        .iter()
        .filter_map(|code| Some(table.param(ty, code)?.key));
    let test = |id: &String| ReferenceTest::Local(patient.clone(), id.clone());
    Ok(Criterion::Param {
        params: params.collect(),
        test: Test::Reference(patients.iter().map(test).collect()),
    })
}

/// Whether a version belongs to some patients, or to any.
pub(crate) fn belongs(
    tenant: &Tenant,
    stored: &Stored,
    codes: &[&'static str],
    patients: Option<&BTreeSet<String>>,
) -> Result<bool, Fault> {
    let table = &tenant.table;
    let Some(ty) = table.type_of(stored.resource_type) else {
        return Ok(false);
    };
    if table.name(ty) == "Patient" {
        return Ok(patients.is_none_or(|patients| patients.contains(&*stored.id)));
    }
    let Some(json) = write::spliced(stored) else {
        return Ok(false);
    };
    let resource = write::trusted(&json)?;
    let wanted: Vec<ParamId> = codes
        .iter()
        .filter_map(|code| Some(tenant.table.set.find(ty, code)?.id))
        .collect();
    let found = extract(&resource, &tenant.table.set);
    Ok(found.values.iter().any(|(id, value)| {
        let SearchValue::Reference(reference) = value else {
            return false;
        };
        let named = reference.id.as_deref();
        wanted.contains(id)
            && reference.resource_type.as_deref() == Some("Patient")
            && named.is_some_and(|id| patients.is_none_or(|patients| patients.contains(id)))
    }))
}
