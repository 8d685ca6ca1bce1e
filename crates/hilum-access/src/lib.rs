//! Who may do what: the registry of routes and the permission that each needs.
//!
//! Every route of every API is a [`Route`] value with a [`Permission`]; a server answers only
//! what is registered, so that a route without a permission cannot exist. This release grants
//! every permission to callers on loopback and none to others ([`granted`]); roles, users and the
//! audit trail build on the same registry.
//!
//! Invariant: deny by default. It has no I/O and knows no server.

use std::net::IpAddr;

/// What a caller may be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// See whether the node lives: names and numbers only.
    Health,
    /// See channels, queues and figures: names, states and numbers.
    Operations,
    /// Find messages by what identifies them; content stays masked.
    Find,
    /// See the content of messages.
    Content,
    /// Pause, resume, requeue, release, replay.
    Operate,
    /// Load a new plan, back up, verify.
    Administer,
    /// See what the FHIR server can do.
    FhirDescribe,
    /// Read a FHIR resource or one of its versions.
    FhirRead,
    /// Create, change or delete FHIR resources.
    FhirWrite,
    /// Search FHIR resources.
    FhirSearch,
    /// See former versions of FHIR resources.
    FhirHistory,
    /// Call an operation that reads or computes.
    FhirOperate,
    /// Send a bundle of requests, each of which needs its own permission as well.
    FhirBatch,
    /// Take FHIR resources out or bring them in, in bulk.
    FhirTransfer,
    /// See how far FHIR work is that is answered later, take its answer, end it. Its URL is known
    /// to whom it was given.
    FhirJob,
    /// Erase FHIR resources with all their versions, for good.
    FhirErase,
    /// Have every FHIR resource indexed again.
    FhirReindex,
}

impl Permission {
    /// The name that policies and documents use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Operations => "operations",
            Self::Find => "find",
            Self::Content => "content",
            Self::Operate => "operate",
            Self::Administer => "administer",
            Self::FhirDescribe => "fhir-describe",
            Self::FhirRead => "fhir-read",
            Self::FhirWrite => "fhir-write",
            Self::FhirSearch => "fhir-search",
            Self::FhirHistory => "fhir-history",
            Self::FhirOperate => "fhir-operate",
            Self::FhirBatch => "fhir-batch",
            Self::FhirTransfer => "fhir-transfer",
            Self::FhirJob => "fhir-job",
            Self::FhirErase => "fhir-erase",
            Self::FhirReindex => "fhir-reindex",
        }
    }
}

/// The methods that routes use. `HEAD` is no method of its own: a server answers it by the route
/// that reads, without the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// Reads.
    Get,
    /// Changes, or asks with a body.
    Post,
    /// Puts a whole thing in its place.
    Put,
    /// Changes a part.
    Patch,
    /// Takes away.
    Delete,
}

impl Method {
    /// As HTTP writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// A parameter of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it says, for people.
    pub about: &'static str,
}

/// A route, and what calling it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The name of the operation.
    pub name: &'static str,
    /// The method.
    pub method: Method,
    /// The path, with `{name}` for each part that is a parameter.
    pub path: &'static str,
    /// What calling it needs.
    pub permission: Permission,
    /// What it does, for people.
    pub about: &'static str,
    /// Parameters in the query.
    pub query: &'static [Parameter],
    /// The fields of a JSON body, if it takes one.
    pub body: &'static [Parameter],
}

impl Route {
    /// A route that reads, without parameters in the query.
    #[must_use]
    pub const fn get(
        name: &'static str,
        path: &'static str,
        permission: Permission,
        about: &'static str,
    ) -> Self {
        Self {
            name,
            method: Method::Get,
            path,
            permission,
            about,
            query: &[],
            body: &[],
        }
    }

    /// The parts of a path that this route answers, by name; `None` if it is not its path.
    #[must_use]
    pub fn matches<'p>(&self, path: &'p str) -> Option<Vec<(&'static str, &'p str)>> {
        // Most routes of a server differ from a path in their depth already.
        let depth = |path: &str| path.bytes().filter(|byte| *byte == b'/').count();
        if depth(self.path) != depth(path) {
            return None;
        }
        let mut found = Vec::new();
        let (mut want, mut have) = (self.path.split('/'), path.split('/'));
        loop {
            match (want.next(), have.next()) {
                (None, None) => return Some(found),
                (Some(want), Some(have)) => {
                    match want
                        .strip_prefix('{')
                        .and_then(|want| want.strip_suffix('}'))
                    {
                        Some(name) if !have.is_empty() => found.push((name, have)),
                        Some(_) => return None,
                        None if want == have => {}
                        None => return None,
                    }
                }
                (None, Some(_)) | (Some(_), None) => return None,
            }
        }
    }
}

/// Whether a caller at this address has a permission.
#[must_use]
pub const fn granted(_permission: Permission, caller: IpAddr) -> bool {
    match caller {
        IpAddr::V4(address) => address.is_loopback(),
        IpAddr::V6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_granted_anything() {
        for (caller, expected) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("10.0.0.1", false),
            ("::ffff:10.0.0.1", false),
        ] {
            let caller = caller.parse().unwrap();
            assert_eq!(granted(Permission::Health, caller), expected, "{caller}");
        }
    }

    #[test]
    fn a_path_fits_a_route_part_by_part() {
        let route = Route {
            name: "pause",
            method: Method::Post,
            path: "/api/channels/{channel}/pause",
            permission: Permission::Operate,
            about: "",
            query: &[],
            body: &[],
        };
        assert_eq!(
            route.matches("/api/channels/lab/pause"),
            Some(vec![("channel", "lab")])
        );
        for path in [
            "/api/channels//pause",
            "/api/channels/lab",
            "/api/channels/lab/pause/x",
            "/",
        ] {
            assert_eq!(route.matches(path), None, "{path}");
        }
    }
}
