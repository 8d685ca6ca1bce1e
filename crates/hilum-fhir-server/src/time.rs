//! Instants as FHIR and HTTP write them.

use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// The clock that the server goes by: milliseconds since 1970.
pub type Clock = std::sync::Arc<dyn Fn() -> i64 + Send + Sync>;

/// `2026-01-02T03:04:05.678Z`.
pub(crate) fn instant(ms: i64) -> String {
    let at = Timestamp::from_millisecond(ms).unwrap_or_default();
    format!("{at:.3}")
}

/// `Fri, 02 Jan 2026 03:04:05 GMT` (RFC 9110 §5.6.7).
pub(crate) fn http_date(ms: i64) -> String {
    Timestamp::from_millisecond(ms)
        .ok()
        .and_then(|at| {
            rfc2822::DateTimePrinter::new()
                .timestamp_to_rfc9110_string(&at)
                .ok()
        })
        .unwrap_or_default()
}

/// Reads what [`http_date`] writes.
pub(crate) fn read_http_date(text: &str) -> Option<i64> {
    let at = rfc2822::DateTimeParser::new().parse_timestamp(text.trim());
    at.ok().map(Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_with_milliseconds_and_dates_are_read_again() {
        assert_eq!(instant(1_767_323_045_078), "2026-01-02T03:04:05.078Z");
        assert_eq!(instant(1_767_323_045_000), "2026-01-02T03:04:05.000Z");
        let text = "Fri, 02 Jan 2026 03:04:05 GMT";
        assert_eq!(http_date(1_767_323_045_678), text);
        assert_eq!(read_http_date(text), Some(1_767_323_045_000));
        assert_eq!(read_http_date("yesterday"), None);
    }
}
