//! `$everything` of a patient and of an encounter: the compartment, and what its resources refer to
//! (FHIR R4 patient-operation-everything.html, encounter-operation-everything.html).
//!
//! `start` and `end` are about when care was given. They leave out what has such a time and lies
//! wholly outside; what has none (the patient, a coverage) and what lasts (conditions, allergies,
//! family history, goals) is given always.

use hilum_access::{Method, Permission};
use hilum_component::BoxFuture;
use hilum_fhir::IssueType;
use hilum_fhir_store::{Criterion, IntervalTest, ParamKey, Prefix, Test};

use super::focus;
use crate::call::{Call, Reply};
use crate::fault::Fault;
use crate::interaction::{members, page, type_named};
use crate::route::{Claim, Entry, entry};
use crate::search::table::Table;
use crate::search::{Include, Known, instant_of, interval};

/// Search parameters that say when care was given, was planned, or was written about. Where a type
/// has several, one of them in the range is enough.
const CARE: [(&str, &[&str]); 45] = [
    ("AdverseEvent", &["date"]),
    ("Appointment", &["date"]),
    ("AuditEvent", &["date"]),
    ("Basic", &["created"]),
    ("CarePlan", &["date"]),
    ("CareTeam", &["date"]),
    ("ChargeItem", &["occurrence"]),
    ("Claim", &["created"]),
    ("ClaimResponse", &["created"]),
    ("ClinicalImpression", &["date"]),
    ("Communication", &["received", "sent"]),
    ("CommunicationRequest", &["occurrence", "authored"]),
    ("Composition", &["date", "period"]),
    ("CoverageEligibilityRequest", &["created"]),
    ("CoverageEligibilityResponse", &["created"]),
    ("DetectedIssue", &["identified"]),
    ("DeviceRequest", &["authored-on", "event-date"]),
    ("DiagnosticReport", &["date"]),
    ("DocumentManifest", &["created"]),
    ("DocumentReference", &["date", "period"]),
    ("Encounter", &["date"]),
    ("EpisodeOfCare", &["date"]),
    ("ExplanationOfBenefit", &["created"]),
    ("ImagingStudy", &["started"]),
    ("Immunization", &["date"]),
    ("ImmunizationEvaluation", &["date"]),
    ("ImmunizationRecommendation", &["date"]),
    ("Invoice", &["date"]),
    ("List", &["date"]),
    ("MeasureReport", &["date", "period"]),
    ("Media", &["created"]),
    ("MedicationAdministration", &["effective-time"]),
    ("MedicationDispense", &["whenhandedover", "whenprepared"]),
    ("MedicationRequest", &["authoredon", "date"]),
    ("MedicationStatement", &["effective"]),
    ("NutritionOrder", &["datetime"]),
    ("Observation", &["date"]),
    ("Procedure", &["date"]),
    ("Provenance", &["recorded", "when"]),
    ("QuestionnaireResponse", &["authored"]),
    ("RequestGroup", &["authored"]),
    ("RiskAssessment", &["date"]),
    ("ServiceRequest", &["authored", "occurrence"]),
    ("Specimen", &["collected"]),
    ("VisionPrescription", &["datewritten"]),
];

pub(super) fn routes() -> [Entry; 2] {
    let everything = |name, path, url, handle| {
        entry(
            name,
            Method::Get,
            path,
            Permission::FhirSearch,
            "Everything about one, page by page, with what it refers to",
            Claim::Operation("everything", url),
            handle,
        )
    };
    [
        everything(
            "everything-patient",
            "/Patient/{id}/$everything",
            "http://hl7.org/fhir/OperationDefinition/Patient-everything",
            of_patient,
        ),
        everything(
            "everything-encounter",
            "/Encounter/{id}/$everything",
            "http://hl7.org/fhir/OperationDefinition/Encounter-everything",
            of_encounter,
        ),
    ]
}

fn of_patient(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        call.knows_only(&["_since", "_type", "_count", "_page", "start", "end"])?;
        everything(&call, "Patient").await
    })
}

fn of_encounter(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        call.knows_only(&["_since", "_type", "_count", "_page"])?;
        everything(&call, "Encounter").await
    })
}

async fn everything(call: &Call, name: &str) -> Result<Reply, Fault> {
    let (owner, _) = type_named(call, name)?;
    let id = focus(call, name).await?.id.to_string();
    let mut pairs = call.query.clone();
    pairs.retain(|(name, _)| !matches!(name.as_str(), "_since" | "start" | "end"));
    if !pairs.iter().any(|(name, _)| name == "_count") {
        let most = call.fhir.limits.page_max.to_string();
        pairs.push(("_count".to_owned(), most));
    }
    let mut search = crate::search::parse(call.reading(&Known::default()), None, &pairs)?;
    let members = members(call, owner, &id, &search.types)?;
    search.restrict(members);
    if let Some(text) = call.query("_since") {
        let start_ms = instant_of(text).ok_or_else(|| {
            Fault::bad(IssueType::Value, "`_since` has a value that is no instant")
        })?;
        search.restrict(Criterion::LastUpdated(vec![IntervalTest {
            prefix: Prefix::Ge,
            start_ms,
            end_ms: start_ms.saturating_add(1),
        }]));
    }
    if let Some(care) = cared(call)? {
        search.restrict(care);
    }
    search.includes.push(Include::EVERYTHING);
    search.used = call
        .query
        .iter()
        .filter(|(name, _)| name != "_page")
        .cloned()
        .collect();
    page(call, search, &format!("/{name}/{id}/$everything")).await
}

/// That care was given between `start` and `end`, as far as it is known when.
fn cared(call: &Call) -> Result<Option<Criterion>, Fault> {
    let params = params(&call.tenant.table);
    let mut range = Vec::new();
    for (name, prefix) in [("start", Prefix::Ge), ("end", Prefix::Le)] {
        let Some(text) = call.query(name) else {
            continue;
        };
        let test = interval(prefix, text, (call.fhir.clock)()).ok_or_else(|| {
            Fault::bad(
                IssueType::Value,
                format!("`{name}` has a value that is no date"),
            )
        })?;
        range.push(Criterion::Param {
            params: params.clone(),
            test: Test::Date(vec![test]),
        });
    }
    if range.is_empty() {
        return Ok(None);
    }
    let timeless = Criterion::Missing {
        params,
        missing: true,
    };
    Ok(Some(Criterion::Or(vec![Criterion::And(range), timeless])))
}

fn params(table: &Table) -> Vec<ParamKey> {
    let codes = CARE
        .iter()
        .flat_map(|(of, codes)| codes.iter().map(move |code| (*of, *code)));
    codes
        .filter_map(|(of, code)| Some(table.param(table.type_named(of)?, code)?.key))
        .collect()
}

#[cfg(test)]
mod tests {
    use hilum_fhir::definitions::{Definitions, SearchParamKind};

    use super::CARE;

    #[test]
    fn every_time_of_care_is_a_search_parameter_of_the_standard() {
        let tables = Definitions::r4();
        for (of, codes) in CARE {
            let ty = tables.type_named(of).unwrap();
            for code in codes {
                let mut params = tables.search_params(ty);
                let known =
                    params.any(|def| def.code == *code && def.kind == SearchParamKind::Date);
                assert!(known, "{of}.{code}");
            }
        }
    }
}
