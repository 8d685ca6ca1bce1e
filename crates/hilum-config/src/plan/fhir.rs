//! The FHIR server of a node, checked.

use std::collections::BTreeMap;

use hilum_component::Size;

use super::Options;
use super::gather::Gathered;
use crate::check::parse_address;
use crate::diagnostic::{Draft, Report, did_you_mean};
use crate::file::{FhirFile, ValidateFile};
use crate::yaml::Node;

/// How strictly resources are checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validate {
    /// Not at all.
    Off,
    /// They are stored, and the client may learn what is wrong.
    Warn,
    /// What is wrong is refused.
    #[default]
    Enforce,
}

/// The store of one tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FhirTenant {
    /// How strictly resources are checked.
    pub validate: Validate,
    /// The same for single types.
    pub validate_types: BTreeMap<String, Validate>,
}

/// The FHIR server that a site asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FhirPlan {
    /// Where it listens.
    pub listen: String,
    /// Scheme and host under which clients reach it, if not by that address.
    pub url: Option<String>,
    /// The first store.
    pub first: FhirTenant,
    /// Stores with names.
    pub tenants: BTreeMap<String, FhirTenant>,
    /// Origins of web pages that may call.
    pub origins: Vec<String>,
    /// Connections at once.
    pub connections_max: usize,
    /// Bytes of a request's body.
    pub body_max: Size,
    /// Resources of a page.
    pub page_max: usize,
}

impl FhirPlan {
    fn of(file: &FhirFile) -> Self {
        let first = FhirTenant {
            validate: validate(file.validate),
            validate_types: by_type(&file.validate_types),
        };
        let tenants = file.tenants.iter().map(|(name, tenant)| {
            let mut types = first.validate_types.clone();
            types.extend(by_type(&tenant.validate_types));
            let own = FhirTenant {
                validate: tenant.validate.map_or(first.validate, validate),
                validate_types: types,
            };
            (name.0.clone(), own)
        });
        Self {
            listen: file.listen.0.clone(),
            url: file
                .url
                .as_ref()
                .map(|url| url.trim_end_matches('/').to_owned()),
            tenants: tenants.collect(),
            first,
            origins: file.origins.clone(),
            connections_max: file.connections_max as usize,
            body_max: file.body_max,
            page_max: file.page_max as usize,
        }
    }
}

const fn validate(file: ValidateFile) -> Validate {
    match file {
        ValidateFile::Off => Validate::Off,
        ValidateFile::Warn => Validate::Warn,
        ValidateFile::Enforce => Validate::Enforce,
    }
}

fn by_type(types: &BTreeMap<String, ValidateFile>) -> BTreeMap<String, Validate> {
    types
        .iter()
        .map(|(name, file)| (name.clone(), validate(*file)))
        .collect()
}

/// The section, if there is one; what is wrong with it is reported.
pub(super) fn plan(
    gathered: &Gathered,
    options: &Options,
    report: &mut Report,
) -> Option<FhirPlan> {
    let file = gathered.node.as_ref()?.fhir.as_ref()?;
    let tree = gathered.node_tree.as_ref()?;
    let section = tree.get("fhir")?;
    let listen = section.get("listen").unwrap_or(section);
    super::channel::loopback(
        "the FHIR server",
        &file.listen.0,
        "127.0.0.1:26680",
        listen,
        report,
    );
    if let Some(url) = &file.url {
        let rest = url
            .strip_prefix("https://")
            .or_else(|| url.strip_prefix("http://"));
        let plain = rest.is_some_and(|rest| {
            let host = rest.trim_end_matches('/');
            let with_port =
                parse_address(host).is_some() || parse_address(&format!("{host}:1")).is_some();
            with_port && !host.contains('/')
        });
        if !plain {
            wrong(
                section.get("url"),
                section,
                "the URL is no scheme and host",
                "write `https://HOST` without a path",
                report,
            );
        }
    }
    for origin in section.get("origins").map(Node::items).unwrap_or_default() {
        let text = origin.text().unwrap_or_default();
        if !text.contains("://") || text.ends_with('/') {
            let remedy = "write scheme and host as browsers send them: https://app.example";
            wrong(
                Some(origin),
                section,
                "the origin is no scheme and host",
                remedy,
                report,
            );
        }
    }
    let tenants = section
        .get("tenants")
        .map(Node::entries)
        .unwrap_or_default();
    for place in std::iter::once(section).chain(tenants.iter().map(|(_, tenant)| tenant)) {
        resource_types(place, &options.resource_types, report);
    }
    if file.page_max == 0 || file.connections_max == 0 {
        let at = section
            .get("page-max")
            .or_else(|| section.get("connections-max"));
        wrong(at, section, "the number is 0", "write at least 1", report);
    }
    Some(FhirPlan::of(file))
}

/// Types of resources that there are not.
fn resource_types(place: &Node, known: &[&str], report: &mut Report) {
    let named = place.get("validate-types").map(Node::entries);
    for (key, _) in named.unwrap_or_default() {
        if known.is_empty() || known.contains(&key.text.as_str()) {
            continue;
        }
        let text = format!("there is no resource of the type `{}`", key.text);
        let remedy = did_you_mean(&key.text, "types", known.iter().copied());
        let remedy = remedy.unwrap_or_else(|| "write it as FHIR R4 does: Patient".to_owned());
        report.push(Draft::error("E0104", key.span, text).remedy(remedy));
    }
}

fn wrong(at: Option<&Node>, section: &Node, text: &str, remedy: &str, report: &mut Report) {
    let span = at.map_or(section.span, |node| node.span);
    report.push(Draft::error("E0103", span, text).remedy(remedy));
}
