//! `$lookup` of a CodeSystem (FHIR R4 codesystem-operation-lookup.html): what is known of a code.

use hilum_access::{Method, Permission};
use hilum_component::BoxFuture;
use hilum_terminology::expand::property_json;
use hilum_terminology::{Coding, Concept, Engine, Failure, Name, Options};

use crate::call::{Call, Reply};
use crate::fault::Fault;
use crate::route::{Claim, Entry, entry};
use crate::terminology::{Given, Parameters, Value, Work, ask, parts, refusal};

const CLAIM: Claim = Claim::Operation(
    "lookup",
    "http://hl7.org/fhir/OperationDefinition/CodeSystem-lookup",
);

const TAKES: [&str; 6] = ["code", "system", "version", "coding", "date", "property"];

pub(super) fn routes() -> [Entry; 2] {
    let (permission, about) = (Permission::FhirSearch, "What is known of a code");
    let of = |name, method| {
        let path = "/CodeSystem/$lookup";
        entry(name, method, path, permission, about, CLAIM, handle)
    };
    [of("lookup", Method::Get), of("lookup-post", Method::Post)]
}

fn handle(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        let given = Given::of(&call, &TAKES).await?;
        if given.text("date").is_some() {
            return Err(Fault::bad(
                hilum_fhir::IssueType::NotSupported,
                "`date` is not supported; name the version of the code system by `version`",
            ));
        }
        let coding = match given.find("coding") {
            Some(Value::Coding(coding)) => coding.clone(),
            _ => Coding {
                system: Some(given.needed("system")?.to_owned()),
                version: given.text("version").map(str::to_owned),
                code: Some(given.needed("code")?.to_owned()),
                display: None,
            },
        };
        let options = match given.options()? {
            Ok(options) => options,
            Err(Failure::Refused(issue)) => return Ok(refusal(&issue)),
            Err(_) => return Err(Fault::failed("options need no definitions")),
        };
        let properties: Vec<String> = given.texts("property").map(str::to_owned).collect();
        let told = ask(&call, given.library()?, Work::Light, move |terminology| {
            let engine = Engine::new(terminology, &options);
            let engine = engine.with_supplements(std::iter::empty())?;
            let url = coding.system.as_deref().unwrap_or_default();
            let system = engine.needed_system(url, coding.version.as_deref())?;
            let code = coding.code.as_deref().unwrap_or_default();
            let concept = engine.needed_concept(&system, code)?;
            Ok(answer(&concept, &engine, &options, &properties))
        })
        .await?;
        Ok(match told {
            Ok(json) => Reply::json(json),
            Err(issue) => refusal(&issue),
        })
    })
}

fn answer(
    concept: &Concept,
    engine: &Engine<'_>,
    options: &Options,
    properties: &[String],
) -> Vec<u8> {
    let system = concept.system();
    let mut out = Parameters::new();
    let name = system.name.as_deref().or(system.title.as_deref());
    out.text("name", "valueString", name.unwrap_or(&system.url));
    if let Some(version) = &system.version {
        out.text("version", "valueString", version);
    }
    let names: Vec<Name<'_>> = concept.names().collect();
    let shown = concept.display_for(options.languages());
    if let Some(display) = shown {
        out.text("display", "valueString", display);
    }
    out.text("code", "valueCode", concept.code());
    out.text("system", "valueUri", &system.url);
    out.flag("abstract", concept.is_abstract());
    if let Some(definition) = concept.definition() {
        out.text("definition", "valueString", definition);
    }
    for name in &names {
        out.parts("designation", &designation(name));
    }
    let wants = |name: &str| {
        properties.is_empty() || properties.iter().any(|one| one == "*" || one == name)
    };
    if wants("inactive") {
        let value = [
            parts::text("code", "valueCode", "inactive"),
            parts::json(
                "value",
                "valueBoolean",
                concept.is_inactive().to_string().as_bytes(),
            ),
        ];
        out.parts("property", &value);
    }
    related(concept, "parent", &wants, &mut out);
    related(concept, "child", &wants, &mut out);
    for (_, property) in concept.properties() {
        let own = matches!(property.name, "inactive" | "parent" | "child");
        if own || property.name.starts_with("http") || !wants(property.name) {
            continue;
        }
        let mut value = parts::text("code", "valueCode", property.name);
        let code = std::mem::take(&mut value);
        value.extend_from_slice(b"\"name\":\"value\",");
        property_json(&property, &mut value);
        out.parts("property", &[code, value]);
    }
    for supplement in engine.supplements_of(system) {
        out.text("used-supplement", "valueCanonical", &supplement.canonical());
    }
    out.finish()
}

fn designation(name: &Name<'_>) -> Vec<Vec<u8>> {
    let mut value = Vec::new();
    if let Some(language) = name.language {
        value.push(parts::text("language", "valueCode", language));
    }
    if let Some(usage) = name.shown_use() {
        let display = Some(usage.display).filter(|display| !display.is_empty());
        let system = Some(usage.system).filter(|system| !system.is_empty());
        let coding = parts::coding(system, None, Some(usage.code), display);
        value.push(parts::json("use", "valueCoding", &coding));
    }
    value.push(parts::text("value", "valueString", name.value));
    if let Some(source) = name.source {
        value.push(parts::text("source", "valueCanonical", &source.canonical()));
    }
    value
}

/// The concepts right above or below, with what people read.
fn related(concept: &Concept, name: &str, wants: &dyn Fn(&str) -> bool, out: &mut Parameters) {
    let (Some(table), Some(at)) = (concept.system().table(), concept.at()) else {
        return;
    };
    if !wants(name) {
        return;
    }
    let all: Vec<_> = if name == "parent" {
        table.parents(at).collect()
    } else {
        table.children(at).collect()
    };
    for other in all {
        let mut value = vec![parts::text("code", "valueCode", name)];
        if let Some(display) = table.display(other) {
            value.push(parts::text("description", "valueString", display));
        }
        value.push(parts::text("value", "valueCode", table.code(other)));
        out.parts("property", &value);
    }
}
