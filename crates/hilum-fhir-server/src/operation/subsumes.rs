//! `$subsumes` of a CodeSystem (FHIR R4 codesystem-operation-subsumes.html): which of two codes is
//! above the other.

use hilum_access::{Method, Permission};
use hilum_component::BoxFuture;
use hilum_fhir::IssueType;
use hilum_terminology::{Engine, Failure};

use super::focus;
use crate::call::{Call, Reply};
use crate::fault::Fault;
use crate::route::{Claim, Entry, entry};
use crate::terminology::{Given, Parameters, Value, Work, ask, refusal};
use crate::write;

const CLAIM: Claim = Claim::Operation(
    "subsumes",
    "http://hl7.org/fhir/OperationDefinition/CodeSystem-subsumes",
);

const TAKES: [&str; 6] = ["codeA", "codeB", "system", "version", "codingA", "codingB"];

pub(super) fn routes() -> [Entry; 4] {
    let (permission, about) = (
        Permission::FhirSearch,
        "Which of two codes is above the other",
    );
    let of = |name, method, path| entry(name, method, path, permission, about, CLAIM, handle);
    let (all, one) = ("/CodeSystem/$subsumes", "/CodeSystem/{id}/$subsumes");
    [
        of("subsumes", Method::Get, all),
        of("subsumes-post", Method::Post, all),
        of("subsumes-stored", Method::Get, one),
        of("subsumes-stored-post", Method::Post, one),
    ]
}

fn handle(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        let given = Given::of(&call, &TAKES).await?;
        let options = match given.options()? {
            Ok(options) => options,
            Err(Failure::Refused(issue)) => return Ok(refusal(&issue)),
            Err(_) => return Err(Fault::failed("options need no definitions")),
        };
        let mut system = given.text("system").map(str::to_owned);
        let mut version = given.text("version").map(str::to_owned);
        if !call.part("id").is_empty() {
            let stored = focus(&call, "CodeSystem").await?;
            let resource = write::trusted(&write::spliced(&stored).unwrap_or_default())?;
            let text = |name| resource.root().child_text(name).map(str::to_owned);
            (system, version) = (text("url"), text("version"));
        }
        let mut codes = Vec::new();
        for (code, coding) in [("codeA", "codingA"), ("codeB", "codingB")] {
            if let Some(Value::Coding(of)) = given.find(coding) {
                let known = system.get_or_insert_with(|| of.system.clone().unwrap_or_default());
                if of.system.as_deref().is_some_and(|own| own != known) {
                    let text = "the codes are of different code systems";
                    return Err(Fault::bad(IssueType::Invalid, text));
                }
                version = version.or_else(|| of.version.clone());
                codes.push(of.code.clone().unwrap_or_default());
            } else {
                codes.push(given.needed(code)?.to_owned());
            }
        }
        let Some(system) = system else {
            let text = "the request needs the parameter `system`";
            return Err(Fault::bad(IssueType::Required, text));
        };
        let told = ask(&call, given.library()?, Work::Light, move |terminology| {
            let engine = Engine::new(terminology, &options);
            let system = engine.needed_system(&system, version.as_deref())?;
            let code = |at: usize| codes.get(at).map_or("", String::as_str);
            engine.subsumes(&system, code(0), code(1))
        })
        .await?;
        Ok(match told {
            Ok(outcome) => {
                let mut out = Parameters::new();
                out.text("outcome", "valueCode", outcome.code());
                Reply::json(out.finish())
            }
            Err(issue) => refusal(&issue),
        })
    })
}
