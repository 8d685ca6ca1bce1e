//! `Prefer` (RFC 7240; FHIR R4 http.html#ops, search.html#errors).

use http::HeaderMap;

/// What an answer to a write carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Return {
    Minimal,
    Representation,
    Outcome,
}

impl Return {
    /// As the header says it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Representation => "representation",
            Self::Outcome => "operationoutcome",
        }
    }

    /// What the header says, in lower case.
    pub(crate) fn named(text: &str) -> Option<Self> {
        [Self::Minimal, Self::Representation, Self::Outcome]
            .into_iter()
            .find(|known| known.name() == text)
    }
}

/// What becomes of a search parameter that is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Handling {
    #[default]
    Strict,
    Lenient,
}

/// What the client would rather have. Preferences that are not known are left aside, as the RFC
/// asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prefer {
    /// Where nothing is said, an answer to a single write carries the resource, and one to a
    /// transaction does not.
    pub(crate) returns: Option<Return>,
    pub(crate) handling: Handling,
    /// The answer may come later (FHIR R4 async.html).
    pub(crate) respond_async: bool,
}

impl Prefer {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut prefer = Self::default();
        for value in headers.get_all("prefer") {
            for text in value.to_str().unwrap_or_default().split([',', ';']) {
                let (name, value) = text.split_once('=').unwrap_or((text, ""));
                let name = name.trim().to_ascii_lowercase();
                let value = value.trim().trim_matches('"').to_ascii_lowercase();
                match (name.as_str(), value.as_str()) {
                    ("return", text) => prefer.returns = Return::named(text).or(prefer.returns),
                    ("handling", "lenient") => prefer.handling = Handling::Lenient,
                    ("handling", "strict") => prefer.handling = Handling::Strict,
                    ("respond-async", _) => prefer.respond_async = true,
                    _ => {}
                }
            }
        }
        prefer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_preferred_and_leaves_the_rest_aside() {
        let check = |text: &str, expected: Prefer| {
            let mut headers = HeaderMap::new();
            headers.insert("prefer", text.parse().unwrap());
            assert_eq!(Prefer::of(&headers), expected, "{text}");
        };
        let none = Prefer::default();
        check("wait=10", none);
        check(
            "return=minimal",
            Prefer {
                returns: Some(Return::Minimal),
                ..none
            },
        );
        let both = Prefer {
            returns: Some(Return::Outcome),
            handling: Handling::Lenient,
            ..none
        };
        check("return=OperationOutcome; handling=lenient", both);
        check("return=\"OperationOutcome\", handling=\"lenient\"", both);
        check(
            "respond-async",
            Prefer {
                respond_async: true,
                ..none
            },
        );
    }
}
