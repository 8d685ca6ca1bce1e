//! The names in a certificate, for logs, labels and decisions about who a peer is.
//!
//! Reads just enough DER (X.690) to find the subject of a certificate that the TLS library has
//! already verified; anything unexpected yields no name instead of an error.

use std::fmt;

/// The subject of a verified certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateName {
    /// The distinguished name in the order of the certificate, as `O=Lab, CN=lab-2`.
    pub subject: String,
    /// The common name.
    pub common_name: Option<String>,
    /// Until when the certificate is good, in Unix seconds, where it can be read.
    pub good_until: Option<i64>,
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.subject)
    }
}

/// Parts of a name by the last octet of their identifier below 2.5.4 (RFC 5280 appendix A).
const PARTS: [(u8, &str); 9] = [
    (3, "CN"),
    (4, "SN"),
    (5, "SERIALNUMBER"),
    (6, "C"),
    (7, "L"),
    (8, "ST"),
    (10, "O"),
    (11, "OU"),
    (12, "T"),
];
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const VERSION: u8 = 0xA0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const BMP_STRING: u8 = 0x1E;

impl CertificateName {
    /// The subject of a certificate in DER.
    #[must_use]
    pub fn of(der: &[u8]) -> Option<Self> {
        let (certificate, _) = inside(der, SEQUENCE)?;
        let (mut fields, _) = inside(certificate, SEQUENCE)?;
        if let Some((_, rest)) = inside(fields, VERSION) {
            fields = rest;
        }
        // Serial number, signature algorithm, issuer.
        for _ in 0..3 {
            fields = element(fields)?.2;
        }
        let (validity, fields) = inside(fields, SEQUENCE)?;
        let (mut names, _) = inside(fields, SEQUENCE)?;
        let mut name = Self {
            good_until: good_until(validity),
            ..Self::default()
        };
        while let Some((set, rest)) = inside(names, SET) {
            names = rest;
            let mut set = set;
            while let Some((pair, rest)) = inside(set, SEQUENCE) {
                set = rest;
                name.add(pair);
            }
        }
        Some(name)
    }

    fn add(&mut self, pair: &[u8]) -> Option<()> {
        let (identifier, rest) = inside(pair, OBJECT_IDENTIFIER)?;
        let [0x55, 0x04, part] = *identifier else {
            return None;
        };
        let label = PARTS.iter().find(|(known, _)| *known == part)?.1;
        let (tag, value, _) = element(rest)?;
        let value: String = if tag == BMP_STRING {
            let units = value
                .chunks_exact(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            char::decode_utf16(units)
                .map(|c| c.unwrap_or('\u{FFFD}'))
                .collect()
        } else {
            String::from_utf8_lossy(value).into_owned()
        };
        // A name goes into logs and labels: it must stay on its line.
        let value: String = value.chars().filter(|c| !c.is_control()).collect();
        if !self.subject.is_empty() {
            self.subject.push_str(", ");
        }
        self.subject.push_str(label);
        self.subject.push('=');
        self.subject.push_str(&value);
        if label == "CN" {
            self.common_name = Some(value);
        }
        Some(())
    }
}

/// The second of the two times of a validity (RFC 5280 §4.1.2.5).
fn good_until(validity: &[u8]) -> Option<i64> {
    let (_, _, rest) = element(validity)?;
    let (tag, text, _) = element(rest)?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i64 = year.parse().ok()?;
            (if year < 50 { year + 2000 } else { year + 1900 }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let mut parts = rest
        .as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).ok()?.parse::<i64>().ok());
    let mut part = || parts.next().flatten();
    let (month, day) = (part()?, part()?);
    let (hour, minute, second) = (part()?, part()?, part()?);
    if !(1..=12).contains(&month) {
        return None;
    }
    // Days since 1970 in the Gregorian calendar, counted in years that begin in March.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Some((days - 719_468) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// The content of the next element if it has this tag, and what follows.
fn inside(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(bytes)?;
    (found == tag).then_some((content, rest))
}

/// Tag, content and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let octets = usize::from(first & 0x7F);
        if octets == 0 || octets > 4 {
            return None;
        }
        let (digits, after) = rest.split_at_checked(octets)?;
        length = digits
            .iter()
            .fold(0, |sum, &digit| (sum << 8) | usize::from(digit));
        rest = after;
    }
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_validity_is_read_in_both_notations() {
        let check = |tag: u8, text: &str, expected: Option<i64>| {
            let time = |tag: u8, text: &str| [&[tag, text.len() as u8], text.as_bytes()].concat();
            let validity = [time(UTC_TIME, "240101000000Z"), time(tag, text)].concat();
            assert_eq!(good_until(&validity), expected, "{text}");
        };
        check(UTC_TIME, "700101000000Z", Some(0));
        check(UTC_TIME, "260228235959Z", Some(1_772_323_199));
        check(GENERALIZED_TIME, "20510301000000Z", Some(2_561_241_600));
        check(GENERALIZED_TIME, "20511301000000Z", None);
        check(UTC_TIME, "2602Z", None);
        check(UTC_TIME, "tomorrow", None);
    }
}
