//! The parameters of an operation, from the query or from a Parameters resource.

use std::sync::Arc;

use hilum_fhir::{IssueType, Node, Resource, Style, json};
use hilum_terminology::{Coding, Languages, Library, Options, Rule, RuleKind, expand};

use crate::call::Call;
use crate::fault::{Fault, suggestion};
use crate::request::Kind;
use crate::write;

/// Parameters of one request.
pub(crate) const PARAMETERS_MAX: usize = 10_000;

/// A value of a parameter.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// A primitive, as text.
    Text(String),
    /// A Coding.
    Coding(Coding),
    /// The codings of a CodeableConcept, and the CodeableConcept as JSON.
    Concept(Vec<Coding>, Arc<[u8]>),
    /// A resource.
    Resource(Arc<Resource>),
    /// Parts.
    Parts(Vec<(String, Value)>),
}

/// What an operation was given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    pub(crate) values: Vec<(String, Value)>,
    /// Languages of the header `Accept-Language`.
    pub(crate) languages: Option<Arc<str>>,
}

/// Parameters that every question about codes takes.
const COMMON: [&str; 8] = [
    "displayLanguage",
    "tx-resource",
    "useSupplement",
    "system-version",
    "check-system-version",
    "force-system-version",
    "default-valueset-version",
    "activeOnly",
];

fn coding(node: Node<'_>) -> Coding {
    let text = |name| node.child_text(name).map(str::to_owned);
    Coding {
        system: text("system"),
        version: text("version"),
        code: text("code"),
        display: text("display"),
    }
}

fn own(node: Node<'_>) -> Result<Arc<Resource>, Fault> {
    let mut bytes = Vec::new();
    json::write_node(node, Style::Compact, &mut bytes);
    write::trusted(&bytes).map(Arc::new)
}

fn value(parameter: Node<'_>) -> Result<Option<Value>, Fault> {
    if let Some(resource) = parameter.child("resource") {
        return Ok(Some(Value::Resource(own(resource)?)));
    }
    let Some(value) = parameter.child("value") else {
        let parts = parameter.children_named("part").map(named);
        let parts: Vec<Option<(String, Value)>> = parts.collect::<Result<_, _>>()?;
        let parts: Vec<(String, Value)> = parts.into_iter().flatten().collect();
        return Ok((!parts.is_empty()).then_some(Value::Parts(parts)));
    };
    Ok(match value.type_name() {
        "Coding" => Some(Value::Coding(coding(value))),
        "CodeableConcept" => {
            let codings = value.children_named("coding").map(coding).collect();
            let mut bytes = Vec::new();
            json::write_node(value, Style::Compact, &mut bytes);
            Some(Value::Concept(codings, bytes.into()))
        }
        _ => value.text().map(|text| Value::Text(text.to_owned())),
    })
}

fn named(parameter: Node<'_>) -> Result<Option<(String, Value)>, Fault> {
    let name = parameter.child_text("name").unwrap_or_default().to_owned();
    Ok(value(parameter)?.map(|value| (name, value)))
}

impl Given {
    /// What a request says, in its query and in its body. Names that the operation does not know
    /// are refused.
    pub(crate) async fn of(call: &Call, known: &[&str]) -> Result<Self, Fault> {
        let text = |(name, value): &(String, String)| (name.clone(), Value::Text(value.clone()));
        let mut given = Self {
            values: call.query.iter().map(text).collect(),
            languages: call.languages.clone(),
        };
        let empty = call.body.bytes.is_empty() && call.body.kind == Kind::Unnamed;
        if !empty {
            let resource = call.resource(None).await?;
            match resource.type_name() {
                "Parameters" => given.read(&resource)?,
                "ValueSet" if known.contains(&"valueSet") => {
                    let value = Value::Resource(Arc::new(resource));
                    given.values.push(("valueSet".to_owned(), value));
                }
                other => {
                    let text = format!("the body is a {other}, not Parameters");
                    return Err(Fault::bad(IssueType::Invalid, text));
                }
            }
        }
        given.knows_only(known)?;
        Ok(given)
    }

    /// Adds what Parameters say.
    pub(crate) fn read(&mut self, parameters: &Resource) -> Result<(), Fault> {
        for parameter in parameters.root().children_named("parameter") {
            if self.values.len() >= PARAMETERS_MAX {
                let text = format!("the request has more than {PARAMETERS_MAX} parameters");
                return Err(Fault::bad(IssueType::TooCostly, text));
            }
            self.values.extend(named(parameter)?);
        }
        Ok(())
    }

    /// Refuses parameters that the operation does not know: nothing is silently ignored.
    pub(crate) fn knows_only(&self, known: &[&str]) -> Result<(), Fault> {
        let all = || known.iter().chain(&COMMON).copied();
        for (name, _) in &self.values {
            if !all().any(|known| known == name) {
                let near = suggestion(name, all());
                let text = format!("this operation takes no parameter `{name}`{near}");
                return Err(Fault::bad(IssueType::NotSupported, text));
            }
        }
        Ok(())
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Value> {
        let mut all = self.values.iter();
        all.find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The text of a parameter.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.find(name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The texts of a parameter that may come several times.
    pub(crate) fn texts<'g>(&'g self, name: &'g str) -> impl Iterator<Item = &'g str> {
        let all = self.values.iter().filter(move |(known, _)| known == name);
        all.filter_map(|(_, value)| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Fault> {
        match self.text(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => {
                let text = format!("`{name}` is neither true nor false");
                Err(Fault::bad(IssueType::Value, text))
            }
        }
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<usize>, Fault> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let number = text
            .parse()
            .map_err(|_| Fault::bad(IssueType::Value, format!("`{name}` is no number from 0")))?;
        Ok(Some(number))
    }

    /// A parameter that has to be there.
    pub(crate) fn needed(&self, name: &str) -> Result<&str, Fault> {
        self.text(name).ok_or_else(|| {
            let text = format!("the request needs the parameter `{name}`");
            Fault::bad(IssueType::Required, text)
        })
    }

    pub(crate) fn resource(&self, name: &str) -> Option<&Arc<Resource>> {
        match self.find(name)? {
            Value::Resource(resource) => Some(resource),
            _ => None,
        }
    }

    /// What the request says about codes in general; an issue where a language is none.
    pub(crate) fn options(&self) -> Result<Result<Options, hilum_terminology::Failure>, Fault> {
        let display_language = match self.text("displayLanguage") {
            None => None,
            Some(text) => match Languages::parse(text) {
                Ok(languages) => Some(languages),
                Err(_) => return Ok(Err(expand::wrong_language(text))),
            },
        };
        // A header that is no list of languages says nothing (RFC 9110 §12.5.4).
        let accept = self.languages.as_deref();
        let mut rules = Vec::new();
        for (name, kind) in [
            ("system-version", RuleKind::Default),
            ("check-system-version", RuleKind::Check),
            ("force-system-version", RuleKind::Force),
        ] {
            for canonical in self.texts(name) {
                let rule = Rule::of(kind, canonical).ok_or_else(|| {
                    let text = format!("`{name}` is not of the form URL|VERSION");
                    Fault::bad(IssueType::Value, text)
                })?;
                rules.push(rule);
            }
        }
        let pinned = self.texts("default-valueset-version");
        let pinned = pinned.filter_map(|canonical| {
            let (url, version) = hilum_terminology::version::split(canonical);
            Some((url.to_owned(), version?.to_owned()))
        });
        Ok(Ok(Options {
            display_language,
            accept_language: accept.and_then(|text| Languages::parse(text).ok()),
            rules,
            value_set_versions: pinned.collect(),
            supplements: self.texts("useSupplement").map(str::to_owned).collect(),
            active_only: self.flag("activeOnly")?,
            ..Options::default()
        }))
    }

    /// What the request brings along; `None` if that is nothing.
    pub(crate) fn library(&self) -> Result<Option<Arc<Library>>, Fault> {
        let mut library = Library::new();
        let mut any = false;
        for (name, value) in &self.values {
            let brought = matches!(
                name.as_str(),
                "tx-resource" | "valueSet" | "codeSystem" | "conceptMap"
            );
            let Value::Resource(resource) = value else {
                continue;
            };
            if !brought {
                continue;
            }
            any |= library.add((**resource).clone()).map_err(|error| {
                let text = format!("the resource in `{name}` cannot be used: {error}");
                Fault::bad(IssueType::Invalid, text)
            })?;
        }
        Ok(any.then(|| Arc::new(library)))
    }
}
