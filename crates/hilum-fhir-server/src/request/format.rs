//! JSON or XML: what a client sends, and what it wants back (FHIR R4 http.html#mime-type).

use http::{HeaderMap, header};

use hilum_fhir::IssueType;

use crate::fault::Fault;

/// A format of resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Xml,
}

/// A format, and the media type under which the client asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Media {
    pub(crate) format: Format,
    /// The value of `Content-Type` of an answer.
    pub(crate) content_type: &'static str,
}

impl Media {
    pub(crate) const JSON: Self = Self {
        format: Format::Json,
        content_type: "application/fhir+json; charset=utf-8",
    };
    pub(crate) const XML: Self = Self {
        format: Format::Xml,
        content_type: "application/fhir+xml; charset=utf-8",
    };

    /// A media type without parameters, in lower case.
    fn named(kind: &str) -> Option<Self> {
        let generic = |format, content_type| Self {
            format,
            content_type,
        };
        Some(match kind {
            "application/fhir+json" | "application/json+fhir" => Self::JSON,
            "application/fhir+xml" | "application/xml+fhir" => Self::XML,
            "application/json" => generic(Format::Json, "application/json; charset=utf-8"),
            "text/json" => generic(Format::Json, "text/json; charset=utf-8"),
            "application/xml" => generic(Format::Xml, "application/xml; charset=utf-8"),
            "text/xml" => generic(Format::Xml, "text/xml; charset=utf-8"),
            _ => return None,
        })
    }
}

/// The format of the answer: `_format` before `Accept`, JSON where neither says.
pub(crate) fn asked_format(parameter: Option<&str>, headers: &HeaderMap) -> Result<Media, Fault> {
    if let Some(text) = parameter {
        let kind = text.split(';').next().unwrap_or_default().trim();
        // A `+` of a media type that was not escaped is a blank by now.
        let kind = kind.to_ascii_lowercase().replace(' ', "+");
        return match kind.as_str() {
            "json" => Ok(Media::JSON),
            "xml" => Ok(Media::XML),
            _ => Media::named(&kind).map_or_else(
                || {
                    Err(not_acceptable(
                        "`_format` names no format that is known here",
                    ))
                },
                |media| {
                    Ok(match media.format {
                        Format::Json => Media::JSON,
                        Format::Xml => Media::XML,
                    })
                },
            ),
        };
    }
    let mut best: Option<(u16, Media)> = None;
    let mut asked = false;
    for value in headers.get_all(header::ACCEPT) {
        for range in value.to_str().unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            if kind.is_empty() {
                continue;
            }
            asked = true;
            let mut quality = 1000;
            let mut version_known = true;
            for part in parts {
                let (name, value) = part.split_once('=').unwrap_or((part, ""));
                match name.trim().to_ascii_lowercase().as_str() {
                    "q" => quality = thousandths(value.trim()),
                    "fhirversion" => version_known = is_r4(value),
                    _ => {}
                }
            }
            let media = match kind.as_str() {
                "*/*" | "application/*" => Some(Media::JSON),
                "text/*" => Media::named("text/json"),
                kind => Media::named(kind),
            };
            if let Some(media) = media.filter(|_| version_known && quality > 0)
                && best.is_none_or(|(known, _)| quality > known)
            {
                best = Some((quality, media));
            }
        }
    }
    match best {
        Some((_, media)) => Ok(media),
        None if asked => Err(not_acceptable(
            "`Accept` names no format that is known here",
        )),
        None => Ok(Media::JSON),
    }
}

fn is_r4(version: &str) -> bool {
    let version = version.trim().trim_matches('"');
    version == "4.0" || version == "4.0.1"
}

/// Quality values have three digits at most (RFC 9110 §12.4.2).
pub(crate) fn thousandths(text: &str) -> u16 {
    let Some((whole, part)) = text.split_once('.') else {
        return if text == "0" { 0 } else { 1000 };
    };
    if whole != "0" {
        return 1000;
    }
    let mut value = 0;
    let mut unit = 100;
    for digit in part.chars().take(3) {
        value += unit * u16::try_from(digit.to_digit(10).unwrap_or(0)).unwrap_or(0);
        unit /= 10;
    }
    value
}

/// What the body of a request is, by its `Content-Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A resource.
    Resource(Format),
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `application/json-patch+json`.
    JsonPatch,
    /// None was named.
    Unnamed,
    /// Something else: for `Binary`.
    Other,
}

/// What the body of a request is; a character set that is not UTF-8 is refused.
pub(crate) fn body_format(headers: &HeaderMap) -> Result<Kind, Fault> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(Kind::Unnamed);
    };
    let text = value.to_str().unwrap_or_default();
    let mut parts = text.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim().trim_matches('"');
        let name = name.trim();
        if name.eq_ignore_ascii_case("charset")
            && !value.eq_ignore_ascii_case("utf-8")
            && !value.eq_ignore_ascii_case("utf8")
        {
            return Err(unsupported(
                "the character set of `Content-Type` is not UTF-8",
            ));
        }
        if name.eq_ignore_ascii_case("fhirversion") && !is_r4(value) {
            return Err(unsupported("`fhirVersion` of `Content-Type` is not 4.0"));
        }
    }
    Ok(match kind.as_str() {
        "application/x-www-form-urlencoded" => Kind::Form,
        "application/json-patch+json" => Kind::JsonPatch,
        kind => Media::named(kind).map_or(Kind::Other, |media| Kind::Resource(media.format)),
    })
}

fn not_acceptable(text: &str) -> Fault {
    let text = format!("{text}; use application/fhir+json or application/fhir+xml");
    Fault::new(
        http::StatusCode::NOT_ACCEPTABLE,
        IssueType::NotSupported,
        text,
    )
}

pub(crate) fn unsupported(text: &str) -> Fault {
    Fault::new(
        http::StatusCode::UNSUPPORTED_MEDIA_TYPE,
        IssueType::NotSupported,
        text,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_has_the_format_that_was_asked_for() {
        let check = |parameter: Option<&str>, accept: &str, expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            if !accept.is_empty() {
                headers.insert(header::ACCEPT, accept.parse().unwrap());
            }
            let found = asked_format(parameter, &headers).ok();
            let found = found.map(|media| media.content_type.trim_end_matches("; charset=utf-8"));
            assert_eq!(found, expected, "{parameter:?} {accept}");
        };
        let (json, xml) = (Some("application/fhir+json"), Some("application/fhir+xml"));
        check(None, "", json);
        check(None, "*/*", json);
        check(None, "application/fhir+xml", xml);
        check(
            None,
            "application/fhir+xml;q=0.5, application/fhir+json;q=0.9",
            json,
        );
        check(None, "application/json", Some("application/json"));
        check(None, "text/html", None);
        check(None, "text/html, */*;q=0.1", json);
        check(None, "application/fhir+json; fhirVersion=4.0", json);
        check(None, "application/fhir+json; fhirVersion=5.0", None);
        check(None, "application/fhir+json;q=0", None);
        check(Some("xml"), "application/json", xml);
        check(Some("application/fhir json"), "", json);
        check(Some("text/xml"), "", xml);
        check(Some("ttl"), "application/json", None);
    }

    #[test]
    fn a_body_says_what_it_is() {
        let check = |text: &str, expected: Option<Kind>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, text.parse().unwrap());
            assert_eq!(body_format(&headers).ok(), expected, "{text}");
        };
        check(
            "application/fhir+json; charset=UTF-8",
            Some(Kind::Resource(Format::Json)),
        );
        check("text/xml", Some(Kind::Resource(Format::Xml)));
        check("application/json; charset=latin1", None);
        check("application/fhir+json; fhirVersion=3.0", None);
        check("application/x-www-form-urlencoded", Some(Kind::Form));
        check("application/pdf", Some(Kind::Other));
    }
}
