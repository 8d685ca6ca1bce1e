//! `$batch-validate-code` (HL7 terminology ecosystem): several validations in one request.
//!
//! What the request says beside its validations counts for each of them that does not say it
//! itself. One that cannot be done is answered with an OperationOutcome in its place.

use hilum_access::{Method, Permission};
use hilum_component::BoxFuture;
use hilum_fhir::IssueType;

use super::validate_code::{About, TAKES, refused, validated};
use crate::call::{Call, Reply};
use crate::fault::Fault;
use crate::route::{Claim, Entry, entry};
use crate::terminology::{Given, Parameters, Value};

/// Validations of one request.
const VALIDATIONS_MAX: usize = 1_000;

const CLAIM: Claim = Claim::Operation(
    "batch-validate-code",
    "http://hl7.org/fhir/uv/tx-ecosystem/OperationDefinition/ValueSet-batch-validate-code",
);

pub(super) fn routes() -> [Entry; 1] {
    [entry(
        "batch-validate-code",
        Method::Post,
        "/ValueSet/$batch-validate-code",
        Permission::FhirSearch,
        "Whether several codes are valid",
        CLAIM,
        handle,
    )]
}

fn handle(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        let mut takes = TAKES.to_vec();
        takes.push("validation");
        let given = Given::of(&call, &takes).await?;
        let (validations, common): (Vec<_>, Vec<_>) = given
            .values
            .into_iter()
            .partition(|(name, _)| name == "validation");
        if validations.len() > VALIDATIONS_MAX {
            let text = format!("the request has more than {VALIDATIONS_MAX} validations");
            return Err(Fault::bad(IssueType::TooCostly, text));
        }
        let mut out = Parameters::new();
        for (_, validation) in validations {
            let json = match one(&call, &common, &given.languages, &validation).await {
                Ok(json) => json,
                // A validation that is wrong is answered; the others go on.
                Err(fault) if fault.status.is_client_error() => {
                    hilum_fhir::operation_outcome_json(&fault.problems)
                }
                Err(fault) => return Err(fault),
            };
            out.json("validation", "resource", &json);
        }
        Ok(Reply::json(out.finish()))
    })
}

async fn one(
    call: &Call,
    common: &[(String, Value)],
    languages: &Option<std::sync::Arc<str>>,
    validation: &Value,
) -> Result<Vec<u8>, Fault> {
    let Value::Resource(parameters) = validation else {
        let text = "a validation is a Parameters resource";
        return Err(Fault::bad(IssueType::Invalid, text));
    };
    let mut given = Given {
        values: Vec::new(),
        languages: languages.clone(),
    };
    given.read(parameters)?;
    given.knows_only(&TAKES)?;
    for (name, value) in common {
        let several = matches!(name.as_str(), "tx-resource" | "useSupplement");
        if several || given.find(name).is_none() {
            given.values.push((name.clone(), value.clone()));
        }
    }
    let told = validated(call, &given, About::Set).await?;
    Ok(told.unwrap_or_else(|issue| refused(&issue)))
}
