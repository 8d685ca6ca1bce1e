//! Why a request is not done: a status, and the problems that the client is told.

use hilum_fhir::{IssueType, Problem, Problems};
use http::{HeaderName, HeaderValue, StatusCode, header};

/// A refusal or a failure. Its problems become an OperationOutcome in the format of the answer.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) status: StatusCode,
    pub(crate) problems: Vec<Problem>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Fault {
    pub(crate) fn new(status: StatusCode, code: IssueType, text: impl Into<String>) -> Self {
        Self::of(status, vec![Problem::error(code, text.into())])
    }

    pub(crate) const fn of(status: StatusCode, problems: Vec<Problem>) -> Self {
        Self {
            status,
            problems,
            headers: Vec::new(),
        }
    }

    /// 400: the request is wrong.
    pub(crate) fn bad(code: IssueType, text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, text)
    }

    /// 404: there is no such thing, or this server does not do it.
    pub(crate) fn missing(code: IssueType, text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, text)
    }

    /// 410: it was deleted.
    pub(crate) fn gone(version: u64) -> Self {
        let mut fault = Self::new(
            StatusCode::GONE,
            IssueType::Deleted,
            "the resource was deleted",
        );
        fault.headers.extend(etag(version));
        fault
    }

    /// 410: it was erased for good.
    pub(crate) fn erased() -> Self {
        let text = "the resource was erased; nothing of it is kept";
        Self::new(StatusCode::GONE, IssueType::Deleted, text)
    }

    /// 412: a condition of the request does not hold.
    pub(crate) fn precondition(code: IssueType, text: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, code, text)
    }

    /// 413.
    pub(crate) fn too_large(bytes_max: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            IssueType::TooLong,
            format!("the body exceeds {bytes_max} bytes"),
        )
    }

    /// 422: the resource breaks a rule.
    pub(crate) fn unprocessable(mut problems: Vec<Problem>) -> Self {
        // Whoever reads the first lines wants to know why.
        problems.sort_by_key(|problem| problem.severity);
        Self::of(StatusCode::UNPROCESSABLE_ENTITY, problems)
    }

    /// 500: the server failed; the client learns no more than that.
    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            IssueType::Exception,
            text,
        )
    }

    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// Says in which part of a request the problems are (`Bundle.entry[3]`).
    pub(crate) fn within(mut self, place: &str) -> Self {
        for problem in &mut self.problems {
            let inner = problem.expression.take().unwrap_or_default();
            problem.expression = Some(inside(place, &inner));
            // It was counted in the part alone.
            problem.position = None;
        }
        self
    }
}

/// The place of an entry and one within it, or within its resource, as one path.
fn inside(place: &str, inner: &str) -> String {
    if inner.starts_with(|first: char| first.is_ascii_uppercase()) {
        let rest = inner.find('.').and_then(|dot| inner.get(dot..));
        return format!("{place}.resource{}", rest.unwrap_or_default());
    }
    if inner.is_empty() {
        return place.to_owned();
    }
    format!("{place}.{inner}")
}

impl From<Problems> for Fault {
    /// What cannot be read as a resource.
    fn from(problems: Problems) -> Self {
        Self::of(StatusCode::BAD_REQUEST, problems.0)
    }
}

/// The header that names a version.
pub(crate) fn etag(version: u64) -> Option<(HeaderName, HeaderValue)> {
    let value = HeaderValue::from_str(&format!("W/\"{version}\"")).ok()?;
    Some((header::ETAG, value))
}

/// `: did you mean ...?` if a known name is near to one that is not known; else the known names, if
/// they are few.
pub(crate) fn suggestion<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    let wanted: Vec<char> = name.to_lowercase().chars().take(64).collect();
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        let lower: Vec<char> = candidate.to_lowercase().chars().collect();
        let distance = edits(&wanted, &lower);
        if best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    match best {
        Some((distance, near)) if distance <= 1 + wanted.len() / 4 => {
            format!("; did you mean `{near}`?")
        }
        _ => String::new(),
    }
}

/// The number of characters to insert, delete or replace.
fn edits(one: &[char], other: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, a) in one.iter().enumerate() {
        let mut diagonal = at;
        let mut left = at + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, b) in row.iter_mut().skip(1).zip(other) {
            let above = *cell;
            left = (above + 1)
                .min(left + 1)
                .min(diagonal + usize::from(a != b));
            diagonal = above;
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_suggested_and_a_far_one_is_not() {
        let known = ["birthdate", "family", "given", "identifier"];
        for (name, expected) in [
            ("birthDat", "; did you mean `birthdate`?"),
            ("identifer", "; did you mean `identifier`?"),
            ("colour", ""),
        ] {
            assert_eq!(suggestion(name, known.into_iter()), expected, "{name}");
        }
    }
}
