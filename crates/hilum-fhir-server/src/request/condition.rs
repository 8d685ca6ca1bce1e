//! `If-Match`, `If-None-Match`, `If-Modified-Since`, `If-None-Exist`.

use http::HeaderMap;

use hilum_fhir::IssueType;

use crate::fault::Fault;

/// The versions that a condition names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tags {
    /// `*`: any version there is.
    Any,
    /// Version numbers.
    Versions(Vec<u64>),
}

impl Tags {
    /// Reads `W/"3"`, `"3"`, a list of them, or `*`. Clients also send the bare number.
    pub(crate) fn read(text: &str, header: &str) -> Result<Self, Fault> {
        if text.trim() == "*" {
            return Ok(Self::Any);
        }
        let version = |tag: &str| {
            let tag = tag.trim();
            let tag = tag.strip_prefix("W/").unwrap_or(tag);
            tag.trim_matches('"').parse::<u64>().ok()
        };
        let versions: Option<Vec<u64>> = text.split(',').map(version).collect();
        versions.map(Self::Versions).ok_or_else(|| {
            let text = format!("`{header}` names no version of this server, such as W/\"3\"");
            Fault::bad(IssueType::Value, text)
        })
    }

    pub(crate) fn holds(&self, version: u64) -> bool {
        match self {
            Self::Any => true,
            Self::Versions(versions) => versions.contains(&version),
        }
    }
}

/// Under which conditions a request is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    pub(crate) if_match: Option<Tags>,
    pub(crate) if_none_match: Option<Tags>,
    /// Milliseconds of the epoch.
    pub(crate) if_modified_since: Option<i64>,
    /// A query.
    pub(crate) if_none_exist: Option<String>,
}

impl Conditions {
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Fault> {
        let text = |name: &str| {
            let Some(value) = headers.get(name) else {
                return Ok(None);
            };
            value.to_str().map(Some).map_err(|_| {
                Fault::bad(
                    IssueType::Value,
                    format!("the header `{name}` is no ASCII text"),
                )
            })
        };
        let tags = |name: &str| text(name)?.map(|value| Tags::read(value, name)).transpose();
        Ok(Self {
            if_match: tags("if-match")?,
            if_none_match: tags("if-none-match")?,
            // A date that cannot be read is no condition (RFC 9110 §13.1.3).
            if_modified_since: text("if-modified-since")?.and_then(crate::time::read_http_date),
            if_none_exist: text("if-none-exist")?.map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_in_the_ways_clients_write_them() {
        let check = |text: &str, expected: Option<Tags>| {
            assert_eq!(Tags::read(text, "If-Match").ok(), expected, "{text}");
        };
        check("W/\"3\"", Some(Tags::Versions(vec![3])));
        check("\"3\", W/\"4\"", Some(Tags::Versions(vec![3, 4])));
        check("3", Some(Tags::Versions(vec![3])));
        check("*", Some(Tags::Any));
        check("W/\"abc\"", None);
        check("", None);
    }
}
