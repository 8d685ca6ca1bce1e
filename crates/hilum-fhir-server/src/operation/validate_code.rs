//! `$validate-code` (FHIR R4 valueset-operation-validate-code.html,
//! codesystem-operation-validate-code.html): whether a code is valid.

use std::sync::Arc;

use hilum_access::{Method, Permission};
use hilum_component::BoxFuture;
use hilum_fhir::IssueType;
use hilum_terminology::{
    Checked, Coding, Engine, Failure, Given as Form, Options, Terminology, ValueSet, issues,
    version,
};

use super::focus;
use crate::call::{Call, Reply};
use crate::fault::Fault;
use crate::route::{Claim, Entry, entry};
use crate::terminology::{Given, Parameters, Told, Value, Work, ask, parts, refusal};
use crate::write;

const OF_SETS: Claim = Claim::Operation(
    "validate-code",
    "http://hl7.org/fhir/OperationDefinition/ValueSet-validate-code",
);
const OF_SYSTEMS: Claim = Claim::Operation(
    "validate-code",
    "http://hl7.org/fhir/OperationDefinition/CodeSystem-validate-code",
);

/// What it takes beside what every question about codes takes.
pub(super) const TAKES: [&str; 18] = [
    "url",
    "valueSet",
    "codeSystem",
    "valueSetVersion",
    "code",
    "system",
    "systemVersion",
    "version",
    "display",
    "coding",
    "codeableConcept",
    "abstract",
    "inferSystem",
    "lenient-display-validation",
    "valueset-membership-only",
    "mode",
    "date",
    "context",
];

pub(super) fn routes() -> [Entry; 8] {
    let permission = Permission::FhirSearch;
    let sets = |name, method, path| {
        let about = "Whether a code is in a value set";
        entry(name, method, path, permission, about, OF_SETS, of_sets)
    };
    let systems = |name, method, path| {
        let about = "Whether a code is in a code system";
        entry(
            name, method, path, permission, about, OF_SYSTEMS, of_systems,
        )
    };
    let (set, one_set) = ("/ValueSet/$validate-code", "/ValueSet/{id}/$validate-code");
    let (system, one_system) = (
        "/CodeSystem/$validate-code",
        "/CodeSystem/{id}/$validate-code",
    );
    [
        sets("validate-code", Method::Get, set),
        sets("validate-code-post", Method::Post, set),
        sets("validate-code-stored", Method::Get, one_set),
        sets("validate-code-stored-post", Method::Post, one_set),
        systems("validate-code-system", Method::Get, system),
        systems("validate-code-system-post", Method::Post, system),
        systems("validate-code-system-stored", Method::Get, one_system),
        systems("validate-code-system-stored-post", Method::Post, one_system),
    ]
}

fn of_sets(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        let mut given = Given::of(&call, &TAKES).await?;
        if !call.part("id").is_empty() {
            let stored = focus(&call, "ValueSet").await?;
            let json = write::spliced(&stored).unwrap_or_default();
            let resource = Value::Resource(Arc::new(write::trusted(&json)?));
            given.values.push(("valueSet".to_owned(), resource));
        }
        reply(&call, &given, About::Set).await
    })
}

fn of_systems(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        let mut given = Given::of(&call, &TAKES).await?;
        if !call.part("id").is_empty() {
            let stored = focus(&call, "CodeSystem").await?;
            let json = write::spliced(&stored).unwrap_or_default();
            let resource = Value::Resource(Arc::new(write::trusted(&json)?));
            given.values.push(("codeSystem".to_owned(), resource));
        }
        reply(&call, &given, About::System).await
    })
}

async fn reply(call: &Call, given: &Given, about: About) -> Result<Reply, Fault> {
    Ok(match validated(call, given, about).await? {
        Ok(json) => Reply::json(json),
        Err(issue) => refusal(&issue),
    })
}

/// What codes are validated against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    Set,
    System,
}

/// The codes of a request.
struct Asked {
    form: Form,
    codings: Vec<Coding>,
    /// The CodeableConcept, as JSON.
    concept: Option<Arc<[u8]>>,
}

impl Asked {
    fn of(given: &Given) -> Result<Self, Fault> {
        if let Some(Value::Concept(codings, json)) = given.find("codeableConcept") {
            return Ok(Self {
                form: Form::Concept,
                codings: codings.clone(),
                concept: Some(Arc::clone(json)),
            });
        }
        if let Some(Value::Coding(coding)) = given.find("coding") {
            return Ok(Self {
                form: Form::Coding,
                codings: vec![coding.clone()],
                concept: None,
            });
        }
        let Some(code) = given.text("code") else {
            let text = "Unable to find code to validate (looked for coding | codeableConcept | code in parameters)";
            return Err(Fault::bad(IssueType::Invalid, text));
        };
        let text = |name| given.text(name).map(str::to_owned);
        Ok(Self {
            form: Form::Code,
            codings: vec![Coding {
                system: text("system"),
                version: text("systemVersion").or_else(|| text("version")),
                code: Some(code.to_owned()),
                display: text("display"),
            }],
            concept: None,
        })
    }
}

/// The answer as Parameters.
pub(super) async fn validated(
    call: &Call,
    given: &Given,
    about: About,
) -> Result<Told<Vec<u8>>, Fault> {
    for name in ["date", "context"] {
        if given.text(name).is_some() {
            let text = format!("`{name}` is not supported; name a value set by `url`");
            return Err(Fault::bad(IssueType::NotSupported, text));
        }
    }
    let mut asked = Asked::of(given)?;
    let mut options = match given.options()? {
        Ok(options) => options,
        Err(Failure::Refused(issue)) => return Ok(Err(issue)),
        Err(_) => return Err(Fault::failed("options need no definitions")),
    };
    options.abstract_counts = given.flag("abstract")?;
    options.infer_system = given.flag("inferSystem")? == Some(true);
    options.lenient_display = given.flag("lenient-display-validation")? == Some(true)
        || given
            .texts("mode")
            .any(|mode| mode == "lenient-display-validation");
    options.membership_only = given.flag("valueset-membership-only")? == Some(true);
    let url = given.text("url").map(str::to_owned);
    let own = match about {
        About::Set => given.resource("valueSet").cloned(),
        About::System => given.resource("codeSystem").cloned(),
    };
    let named = match about {
        About::Set => given.text("valueSetVersion"),
        About::System => given.text("version"),
    };
    let named = named.map(str::to_owned);
    if about == About::System && url.is_some() {
        for coding in &mut asked.codings {
            coding.system = coding.system.take().or_else(|| url.clone());
        }
    }
    let concept = asked.concept.clone();
    let told = ask(
        call,
        given.library()?,
        Work::Light,
        move |terminology| match about {
            About::Set => {
                let set = match &own {
                    Some(resource) => Arc::new(ValueSet::of(Arc::clone(resource))),
                    None => known_set(terminology, url.as_deref(), named.as_deref())?,
                };
                in_set(terminology, &options, &set, &asked)
            }
            About::System => in_system(
                terminology,
                &options,
                own.as_deref(),
                named.as_deref(),
                &asked,
            ),
        },
    )
    .await?;
    Ok(told.map(|checked| answer(&checked, concept.as_deref())))
}

fn known_set(
    terminology: &Terminology,
    url: Option<&str>,
    named: Option<&str>,
) -> Result<Arc<ValueSet>, Failure> {
    let url = url.unwrap_or_default();
    let canonical = match named {
        Some(named) if !url.contains('|') => version::joined(url, Some(named)),
        _ => url.to_owned(),
    };
    let found = terminology.value_set(&canonical)?;
    found.ok_or_else(|| issues::unknown_value_set(&canonical))
}

fn in_set(
    terminology: &Terminology,
    options: &Options,
    set: &Arc<ValueSet>,
    asked: &Asked,
) -> Result<Checked, Failure> {
    let mut options = options.clone();
    for (name, value) in &set.parameters {
        if **name == *"displayLanguage" && options.display_language.is_none() {
            options.display_language = hilum_terminology::Languages::parse(value).ok();
        }
    }
    if options.languages().is_none() {
        let own = set.language.as_deref();
        options.accept_language = own.and_then(|own| hilum_terminology::Languages::parse(own).ok());
    }
    let engine = Engine::new(terminology, &options);
    let engine = engine.with_supplements(set.supplements.iter().map(|name| &**name))?;
    engine.check(set, asked.form, &asked.codings)
}

fn in_system(
    terminology: &Terminology,
    options: &Options,
    own: Option<&hilum_fhir::Resource>,
    named: Option<&str>,
    asked: &Asked,
) -> Result<Checked, Failure> {
    let engine = Engine::new(terminology, options).with_supplements(std::iter::empty())?;
    let (url, named) = match own {
        Some(resource) => {
            let root = resource.root();
            (root.child_text("url"), root.child_text("version"))
        }
        None => {
            let first = asked.codings.first();
            let of_coding = first.and_then(|coding| coding.version.as_deref());
            let url = first.and_then(|coding| coding.system.as_deref());
            (url, named.or(of_coding))
        }
    };
    let system = engine.needed_system(url.unwrap_or_default(), named)?;
    engine.check_system(&system, asked.form, &asked.codings)
}

fn answer(checked: &Checked, concept: Option<&[u8]>) -> Vec<u8> {
    let mut out = Parameters::new();
    out.flag("result", checked.result);
    if let Some(system) = &checked.system {
        out.text("system", "valueUri", system);
    }
    let unknown = if checked.is_open {
        "x-caused-by-unknown-system"
    } else {
        "x-unknown-system"
    };
    for system in &checked.unknown_systems {
        out.text(unknown, "valueCanonical", system);
    }
    for (name, kind, value) in [
        ("normalized-code", "valueCode", &checked.normalized),
        ("code", "valueCode", &checked.code),
        ("version", "valueString", &checked.version),
        ("display", "valueString", &checked.display),
        ("message", "valueString", &checked.message),
        ("status", "valueCode", &checked.status),
    ] {
        if let Some(value) = value {
            out.text(name, kind, value);
        }
    }
    if checked.inactive {
        out.flag("inactive", true);
    }
    if let Some(concept) = concept {
        out.json("codeableConcept", "valueCodeableConcept", concept);
    }
    out.issues(&checked.issues);
    out.finish()
}

/// Parameters that say only what is wrong, as an answer among others.
pub(super) fn refused(issue: &hilum_terminology::Issue) -> Vec<u8> {
    parts::outcome(std::slice::from_ref(issue))
}
