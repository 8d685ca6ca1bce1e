//! The text of a reference (FHIR R4 references.html#literal).

use std::fmt;

use crate::definitions::Definitions;
use crate::lexical::is_id;

/// What the text of a reference points to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ReferenceTarget<'t> {
    /// A resource inside the same one: the id behind `#`; empty for the container itself.
    Contained(&'t str),
    /// A resource of the same server.
    Relative {
        /// The type's name.
        resource_type: &'t str,
        /// The id.
        id: &'t str,
        /// The version.
        version: Option<&'t str>,
    },
    /// A resource on a server that speaks REST.
    Absolute {
        /// The base URL without the last slash.
        base: &'t str,
        /// The whole URL without version.
        url: &'t str,
        /// The type's name.
        resource_type: &'t str,
        /// The id.
        id: &'t str,
        /// The version.
        version: Option<&'t str>,
    },
    /// Any other URI: `urn:uuid:`, a canonical URL, and what is none of the above.
    Uri(&'t str),
}

/// The kind only: ids are content.
impl fmt::Debug for ReferenceTarget<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Contained(_) => "Contained",
            Self::Relative { .. } => "Relative",
            Self::Absolute { .. } => "Absolute",
            Self::Uri(_) => "Uri",
        })
    }
}

/// Reads the text of a reference.
#[must_use]
pub fn parse_reference(text: &str) -> ReferenceTarget<'_> {
    if let Some(id) = text.strip_prefix('#') {
        return ReferenceTarget::Contained(id);
    }
    let (path, version) = match text.rsplit_once("/_history/") {
        Some((path, version)) if is_id(version.as_bytes()) => (path, Some(version)),
        _ => (text, None),
    };
    let Some((before, id)) = path.rsplit_once('/') else {
        return ReferenceTarget::Uri(text);
    };
    let (base, resource_type) = match before.rsplit_once('/') {
        Some((base, resource_type)) => (Some(base), resource_type),
        None => (None, before),
    };
    if !is_id(id.as_bytes()) || !is_resource_type(resource_type) {
        return ReferenceTarget::Uri(text);
    }
    match base {
        None => ReferenceTarget::Relative {
            resource_type,
            id,
            version,
        },
        Some(base) if base.starts_with("http://") || base.starts_with("https://") => {
            ReferenceTarget::Absolute {
                base,
                url: path,
                resource_type,
                id,
                version,
            }
        }
        Some(_) => ReferenceTarget::Uri(text),
    }
}

fn is_resource_type(name: &str) -> bool {
    let tables = Definitions::r4();
    tables.type_named(name).is_some_and(|ty| {
        let def = tables.type_def(ty);
        def.is_resource() && !def.is_abstract
    })
}

#[cfg(test)]
mod tests {
    use super::ReferenceTarget as T;
    use super::*;

    #[test]
    fn references_are_told_apart_by_their_form() {
        let relative = |version| T::Relative {
            resource_type: "Patient",
            id: "a-1",
            version,
        };
        let absolute = |version| T::Absolute {
            base: "https://h/fhir",
            url: "https://h/fhir/Patient/a-1",
            resource_type: "Patient",
            id: "a-1",
            version,
        };
        for (text, expected) in [
            ("Patient/a-1", relative(None)),
            ("Patient/a-1/_history/3", relative(Some("3"))),
            ("https://h/fhir/Patient/a-1", absolute(None)),
            ("https://h/fhir/Patient/a-1/_history/3", absolute(Some("3"))),
            ("#p1", T::Contained("p1")),
            ("#", T::Contained("")),
            (
                "urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
                T::Uri("urn:uuid:c757873d-ec9a-4326-a141-556f43239520"),
            ),
            ("http://h/fhir/Nothing/a", T::Uri("http://h/fhir/Nothing/a")),
            ("Resource/a", T::Uri("Resource/a")),
            ("x/Patient/a", T::Uri("x/Patient/a")),
            ("Patient/a_b", T::Uri("Patient/a_b")),
            ("a-1", T::Uri("a-1")),
            ("", T::Uri("")),
        ] {
            assert!(parse_reference(text) == expected, "{text}");
        }
    }
}
