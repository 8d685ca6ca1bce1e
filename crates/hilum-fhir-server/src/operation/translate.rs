//! `$translate` of a ConceptMap (FHIR R4 conceptmap-operation-translate.html): a code of one system
//! as codes of another. The names that FHIR R5 gave to its parameters are understood, too.

use std::sync::Arc;

use hilum_access::{Method, Permission};
use hilum_component::BoxFuture;
use hilum_fhir::IssueType;
use hilum_terminology::map::{Ask, ConceptMap, Match, Other, Translated};
use hilum_terminology::{Coding, Engine, Failure};

use super::focus;
use crate::call::{Call, Reply};
use crate::fault::Fault;
use crate::route::{Claim, Entry, entry};
use crate::terminology::{Given, Parameters, Value, Work, ask, parts, refusal};
use crate::write;

const CLAIM: Claim = Claim::Operation(
    "translate",
    "http://hl7.org/fhir/OperationDefinition/ConceptMap-translate",
);

const TAKES: [&str; 20] = [
    "url",
    "conceptMap",
    "conceptMapVersion",
    "code",
    "system",
    "version",
    "source",
    "coding",
    "codeableConcept",
    "target",
    "targetsystem",
    "targetSystem",
    "dependency",
    "reverse",
    "sourceCode",
    "sourceSystem",
    "sourceCoding",
    "sourceCodeableConcept",
    "sourceScope",
    "targetScope",
];

pub(super) fn routes() -> [Entry; 4] {
    let (permission, about) = (Permission::FhirSearch, "A code as codes of another system");
    let of = |name, method, path| entry(name, method, path, permission, about, CLAIM, handle);
    let (all, one) = ("/ConceptMap/$translate", "/ConceptMap/{id}/$translate");
    [
        of("translate", Method::Get, all),
        of("translate-post", Method::Post, all),
        of("translate-stored", Method::Get, one),
        of("translate-stored-post", Method::Post, one),
    ]
}

fn handle(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        let mut given = Given::of(&call, &TAKES).await?;
        if !call.part("id").is_empty() {
            let stored = focus(&call, "ConceptMap").await?;
            let resource = write::trusted(&write::spliced(&stored).unwrap_or_default())?;
            let value = Value::Resource(Arc::new(resource));
            given.values.push(("conceptMap".to_owned(), value));
        }
        let options = match given.options()? {
            Ok(options) => options,
            Err(Failure::Refused(issue)) => return Ok(refusal(&issue)),
            Err(_) => return Err(Fault::failed("options need no definitions")),
        };
        let codings = codings(&given)?;
        let mut asked = asked(&given)?;
        let own = given.resource("conceptMap").map(|resource| {
            ConceptMap::of(resource)
                .map_err(|error| Fault::bad(IssueType::Invalid, error.to_string()))
        });
        let own = own.transpose()?.map(Arc::new);
        if let Some(own) = &own {
            asked.map = own.url.as_deref().map(|_| own.canonical());
        }
        let told = ask(&call, given.library()?, Work::Light, move |terminology| {
            let engine = Engine::new(terminology, &options);
            match &own {
                Some(map) => engine.translate_by(map, &codings, &asked),
                None => engine.translate(&codings, &asked),
            }
        })
        .await?;
        Ok(match told {
            Ok(translated) => Reply::json(answer(&translated)),
            Err(issue) => refusal(&issue),
        })
    })
}

fn codings(given: &Given) -> Result<Vec<Coding>, Fault> {
    for name in ["codeableConcept", "sourceCodeableConcept"] {
        if let Some(Value::Concept(codings, _)) = given.find(name) {
            return Ok(codings.clone());
        }
    }
    for name in ["coding", "sourceCoding"] {
        if let Some(Value::Coding(coding)) = given.find(name) {
            return Ok(vec![coding.clone()]);
        }
    }
    let text = |names: [&str; 2]| names.iter().find_map(|name| given.text(name));
    let Some(code) = text(["code", "sourceCode"]) else {
        let text = "the request needs one of the parameters `code`, `coding`, `codeableConcept`";
        return Err(Fault::bad(IssueType::Required, text));
    };
    Ok(vec![Coding {
        system: text(["system", "sourceSystem"]).map(str::to_owned),
        version: given.text("version").map(str::to_owned),
        code: Some(code.to_owned()),
        display: None,
    }])
}

fn asked(given: &Given) -> Result<Ask, Fault> {
    let text = |names: [&str; 2]| {
        let found = names.iter().find_map(|name| given.text(name));
        found.map(str::to_owned)
    };
    let map = given
        .text("url")
        .map(|url| match given.text("conceptMapVersion") {
            Some(version) if !url.contains('|') => format!("{url}|{version}"),
            _ => url.to_owned(),
        });
    let dependencies = given.values.iter().filter(|(name, _)| name == "dependency");
    let dependencies = dependencies.filter_map(|(_, value)| match value {
        Value::Parts(parts) => dependency(parts),
        _ => None,
    });
    Ok(Ask {
        map,
        source: text(["source", "sourceScope"]),
        target: text(["target", "targetScope"]),
        target_system: text(["targetsystem", "targetSystem"]),
        dependencies: dependencies.collect(),
        reverse: given.flag("reverse")? == Some(true),
    })
}

fn dependency(parts: &[(String, Value)]) -> Option<Other> {
    let mut other = Other::default();
    for (name, value) in parts {
        match (name.as_str(), value) {
            ("element", Value::Text(text)) => other.property = text.as_str().into(),
            ("concept", Value::Concept(codings, _)) => {
                let coding = codings.first()?;
                other.system = coding.system.as_deref().map(Into::into);
                other.value = coding.code.as_deref()?.into();
            }
            ("concept", Value::Coding(coding)) => {
                other.system = coding.system.as_deref().map(Into::into);
                other.value = coding.code.as_deref()?.into();
            }
            _ => {}
        }
    }
    (!other.property.is_empty() && !other.value.is_empty()).then_some(other)
}

fn answer(translated: &Translated) -> Vec<u8> {
    let mut out = Parameters::new();
    out.flag("result", translated.result);
    if let Some(message) = &translated.message {
        out.text("message", "valueString", message);
    }
    for one in &translated.matches {
        out.parts("match", &matched(one));
    }
    out.finish()
}

fn matched(one: &Match) -> Vec<Vec<u8>> {
    let mut value = vec![parts::text(
        "equivalence",
        "valueCode",
        one.equivalence.code(),
    )];
    if one.code.is_some() {
        let coding = parts::coding(
            one.system.as_deref(),
            one.version.as_deref(),
            one.code.as_deref(),
            one.display.as_deref(),
        );
        value.push(parts::json("concept", "valueCoding", &coding));
    }
    for product in &one.product {
        let system = product.system.as_deref();
        let coding = parts::coding(
            system,
            None,
            Some(&product.value),
            product.display.as_deref(),
        );
        let inner = [
            parts::text("element", "valueUri", &product.property),
            parts::json("concept", "valueCoding", &coding),
        ];
        value.push(parts::nested("product", &inner));
    }
    if let Some(origin) = &one.origin {
        value.push(parts::text("source", "valueUri", origin));
    }
    value
}
