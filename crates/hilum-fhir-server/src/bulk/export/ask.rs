//! What an export is asked for.

use hilum_fhir::IssueType;
use hilum_fhir::definitions::TypeId;
use serde::{Deserialize, Serialize};

use super::super::parameters::pairs;
use super::belongs::compartment;
use crate::bundle::link_url;
use crate::call::Call;
use crate::fault::{Fault, suggestion};
use crate::interaction::type_named;
use crate::request::{Handling, pairs as decoded};
use crate::search::{Known, instant_of, is_id};

/// Whose resources.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum Level {
    System,
    Patient,
    /// By its id.
    Group(String),
}

/// An export as it is kept until it is done.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Asked {
    /// The URL of the request, for the manifest.
    pub(super) url: String,
    /// The URL of the tenant.
    pub(super) base: String,
    pub(super) level: Level,
    /// The types that are exported, each once.
    pub(super) types: Vec<String>,
    /// Searches that limit the resources of a type: type and query.
    pub(super) filters: Vec<(String, String)>,
    /// Elements of all types, or of one (`Patient.name`).
    pub(super) elements: Vec<String>,
    pub(super) since_ms: Option<i64>,
    pub(super) until_ms: Option<i64>,
    /// Ids of patients; everyone's if it is empty.
    pub(super) patients: Vec<String>,
}

/// Parameters that it knows.
const KNOWN: [&str; 7] = [
    "_outputFormat",
    "_since",
    "_until",
    "_type",
    "_typeFilter",
    "_elements",
    "patient",
];
/// Parameters of the guide that it does not do.
const OPTIONAL: [&str; 3] = [
    "includeAssociatedData",
    "organizeOutputBy",
    "allowPartialManifests",
];

impl Asked {
    pub(super) async fn read(call: &Call, level: Level, path: &str) -> Result<Self, Fault> {
        let pairs = pairs(call).await?;
        let mut asked = Self {
            url: link_url(&format!("{}{path}", call.base), &pairs),
            base: call.base.to_string(),
            level,
            types: Vec::new(),
            filters: Vec::new(),
            elements: Vec::new(),
            since_ms: None,
            until_ms: None,
            patients: Vec::new(),
        };
        for (name, value) in &pairs {
            asked.take(call, name, value).await?;
        }
        if asked.types.is_empty() {
            asked.types = asked.possible(call);
        }
        for (ty, _) in &asked.filters {
            if !asked.types.contains(ty) {
                let text = format!("`_typeFilter` is about {ty}, which `_type` leaves out");
                return Err(Fault::bad(IssueType::Invalid, text));
            }
        }
        Ok(asked)
    }

    async fn take(&mut self, call: &Call, name: &str, value: &str) -> Result<(), Fault> {
        let wrong = |text: &str| Fault::bad(IssueType::Value, text);
        let time = |name: &str| {
            let text = format!("`{name}` has a value that is no instant");
            instant_of(value).ok_or_else(|| Fault::bad(IssueType::Value, text))
        };
        match name {
            "_outputFormat" => {
                let format = value.replace(' ', "+");
                let known = ["application/fhir+ndjson", "application/ndjson", "ndjson"];
                if !known.contains(&format.as_str()) {
                    return Err(wrong("`_outputFormat` is application/fhir+ndjson"));
                }
            }
            "_since" => self.since_ms = Some(time(name)?),
            "_until" => self.until_ms = Some(time(name)?),
            "_type" => {
                for name in value.split(',').map(str::trim) {
                    self.add_type(call, name)?;
                }
            }
            "_typeFilter" => {
                for filter in filters(value) {
                    self.add_filter(call, filter).await?;
                }
            }
            "_elements" => {
                for name in value.split(',').map(str::trim) {
                    self.add_elements(call, name)?;
                }
            }
            "patient" => {
                if self.level == Level::System {
                    let text = "`patient` is for exports of patients and groups";
                    return Err(Fault::bad(IssueType::NotSupported, text));
                }
                if call.body.bytes.is_empty() {
                    return Err(wrong("`patient` is sent in a Parameters resource, by POST"));
                }
                let id = value.rsplit("Patient/").next().unwrap_or_default();
                if !is_id(id) {
                    return Err(wrong(
                        "`patient` has a value that is no reference to a Patient",
                    ));
                }
                self.patients.push(id.to_owned());
                let most = call.fhir.limits.export_patients_max;
                if self.patients.len() > most {
                    let text = format!("there are more than {most} parameters `patient`");
                    return Err(Fault::bad(IssueType::TooCostly, text));
                }
            }
            // What is not done may be left out if the client says so.
            name => {
                if call.prefer.handling == Handling::Lenient {
                    return Ok(());
                }
                let text = if OPTIONAL.contains(&name) {
                    format!("`{name}` is not supported")
                } else {
                    let near = suggestion(name, KNOWN.into_iter());
                    let name: String = name.chars().take(64).collect();
                    format!("an export takes no parameter `{name}`{near}")
                };
                return Err(Fault::bad(IssueType::NotSupported, text));
            }
        }
        Ok(())
    }

    /// A type that can be exported on this level.
    fn fitting(&self, call: &Call, name: &str) -> Result<TypeId, Fault> {
        let (ty, _) = type_named(call, name).map_err(|fault| Fault {
            status: http::StatusCode::BAD_REQUEST,
            ..fault
        })?;
        if self.level != Level::System && !compartment(&call.tenant).contains_key(&ty) {
            let text = format!("resources of the type {name} do not belong to patients");
            return Err(Fault::bad(IssueType::NotSupported, text));
        }
        Ok(ty)
    }

    fn add_type(&mut self, call: &Call, name: &str) -> Result<(), Fault> {
        match self.fitting(call, name) {
            Ok(_) if self.types.iter().any(|known| known == name) => {}
            Ok(_) => self.types.push(name.to_owned()),
            Err(_) if call.prefer.handling == Handling::Lenient => {}
            Err(fault) => return Err(fault),
        }
        Ok(())
    }

    /// `Observation?status=final`.
    async fn add_filter(&mut self, call: &Call, filter: &str) -> Result<(), Fault> {
        let (name, query) = filter.split_once('?').unwrap_or((filter, ""));
        let ty = self.fitting(call, name)?;
        let given = decoded(query)
            .map_err(|_| Fault::bad(IssueType::Value, "`_typeFilter` is not UTF-8"))?;
        let shaped = given.iter().find(|(name, _)| {
            let code = name.split(':').next().unwrap_or_default();
            matches!(
                code,
                "_count"
                    | "_sort"
                    | "_total"
                    | "_summary"
                    | "_elements"
                    | "_include"
                    | "_revinclude"
                    | "_page"
                    | "_explain"
            )
        });
        if let Some((name, _)) = shaped {
            let text = format!("`_typeFilter` holds `{name}`, which says how a page looks");
            return Err(Fault::bad(IssueType::NotSupported, text));
        }
        let known = call.known(&given).await?;
        crate::search::parse(call.reading(&known), Some(ty), &given)?;
        self.filters.push((name.to_owned(), query.to_owned()));
        Ok(())
    }

    /// `name` or `Patient.name`.
    fn add_elements(&mut self, call: &Call, name: &str) -> Result<(), Fault> {
        let (of, element) = match name.split_once('.') {
            Some((of, element)) => (Some(of), element),
            None => (None, name),
        };
        let ty = of.map(|of| self.fitting(call, of)).transpose()?;
        let given = [("_elements".to_owned(), element.to_owned())];
        crate::search::parse(call.reading(&Known::default()), ty, &given)?;
        self.elements.push(name.to_owned());
        Ok(())
    }

    /// All types of the level.
    fn possible(&self, call: &Call) -> Vec<String> {
        let table = &call.tenant.table;
        let inside = compartment(&call.tenant);
        let fits = |ty: &TypeId| self.level == Level::System || inside.contains_key(ty);
        let types = table.all().into_iter().filter(fits);
        types.map(|ty| table.name(ty).to_owned()).collect()
    }
}

/// Several filters, separated by commas: one that is followed by `Type?` begins the next.
fn filters(value: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut rest, mut from) = (value, 0);
    while let Some(at) = rest.get(from..).and_then(|tail| tail.find(',')) {
        let comma = from + at;
        let next = rest.get(comma + 1..).unwrap_or_default();
        let name = next.split('?').next().unwrap_or_default();
        let begins = next.contains('?')
            && name.starts_with(|first: char| first.is_ascii_uppercase())
            && name.bytes().all(|byte| byte.is_ascii_alphabetic());
        if begins {
            found.extend(rest.get(..comma));
            (rest, from) = (next, 0);
        } else {
            from = comma + 1;
        }
    }
    found.push(rest);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_before_a_type_separates_filters_and_one_in_a_value_does_not() {
        for (text, expected) in [
            ("Patient?active=true", &["Patient?active=true"][..]),
            (
                "Observation?code=a,b&x=1,Patient?name=A,B",
                &["Observation?code=a,b&x=1", "Patient?name=A,B"],
            ),
            ("Patient", &["Patient"]),
        ] {
            assert_eq!(filters(text), expected, "{text}");
        }
    }
}
