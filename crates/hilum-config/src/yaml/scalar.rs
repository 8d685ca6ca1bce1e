//! What a scalar means in the core schema of YAML 1.2 (§10.3).

use saphyr_parser::ScalarStyle;

/// A scalar as it was written and what it means.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    /// The text after quotes and escapes were resolved.
    pub(crate) text: String,
    /// How it was written.
    pub(crate) style: Style,
    /// What it means.
    pub(crate) value: Value,
    /// The byte of the file at which `text` stands letter by letter, if it does.
    pub(crate) verbatim_at: Option<u32>,
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Without quotes.
    Plain,
    /// In single or double quotes.
    Quoted,
    /// As a block (`|`, `>`).
    Block,
}

/// What a scalar means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    /// Nothing.
    Null,
    /// True or false.
    Boolean(bool),
    /// A whole number that fits.
    Integer(i64),
    /// Another number.
    Decimal(f64),
    /// Text.
    Text,
}

impl Scalar {
    /// A scalar of this text and style.
    #[must_use]
    pub(crate) fn new(text: String, style: Style, verbatim_at: Option<u32>) -> Self {
        let value = if style == Style::Plain {
            resolve(&text)
        } else {
            Value::Text
        };
        Self {
            text,
            style,
            value,
            verbatim_at,
        }
    }

    /// The scalar as JSON.
    #[must_use]
    pub(crate) fn json(&self) -> serde_json::Value {
        match self.value {
            Value::Null => serde_json::Value::Null,
            Value::Boolean(value) => value.into(),
            Value::Integer(value) => value.into(),
            Value::Decimal(value) => serde_json::Number::from_f64(value)
                .map_or_else(|| self.text.clone().into(), serde_json::Value::Number),
            Value::Text => self.text.clone().into(),
        }
    }

    /// What it is, for people.
    #[must_use]
    pub(crate) const fn word(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Boolean(_) => "true or false",
            Value::Integer(_) => "a whole number",
            Value::Decimal(_) => "a number",
            Value::Text => "a text",
        }
    }
}

impl From<ScalarStyle> for Style {
    fn from(style: ScalarStyle) -> Self {
        match style {
            ScalarStyle::Plain => Self::Plain,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Self::Quoted,
            ScalarStyle::Literal | ScalarStyle::Folded => Self::Block,
        }
    }
}

fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Boolean(true),
        "false" | "False" | "FALSE" => return Value::Boolean(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Value::Decimal(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Value::Decimal(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Value::Decimal(f64::NAN),
        _ => {}
    }
    let based = [("0o", 8), ("0x", 16)]
        .into_iter()
        .find_map(|(prefix, radix)| {
            let digits = text.strip_prefix(prefix)?;
            let plain = digits.chars().all(|c| c.is_digit(radix));
            plain
                .then(|| i64::from_str_radix(digits, radix).ok())
                .flatten()
        });
    if let Some(value) = based {
        return Value::Integer(value);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return text.strip_prefix('+').unwrap_or(text).parse().map_or_else(
            |_| text.parse().map_or(Value::Text, Value::Decimal),
            Value::Integer,
        );
    }
    // `[-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
    let number = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.bytes().any(|b| b.is_ascii_digit())
        && unsigned
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if number {
        text.parse().map_or(Value::Text, Value::Decimal)
    } else {
        Value::Text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_core_schema_has_meanings() {
        for (text, value) in [
            ("", Value::Null),
            ("~", Value::Null),
            ("True", Value::Boolean(true)),
            ("yes", Value::Text),
            ("on", Value::Text),
            ("NO", Value::Text),
            ("12", Value::Integer(12)),
            ("-12", Value::Integer(-12)),
            ("+12", Value::Integer(12)),
            ("0x1F", Value::Integer(31)),
            ("0o17", Value::Integer(15)),
            ("0x", Value::Text),
            ("017", Value::Integer(17)),
            ("4.1", Value::Decimal(4.1)),
            (".5", Value::Decimal(0.5)),
            ("1e3", Value::Decimal(1000.0)),
            ("1.2.3", Value::Text),
            ("10:30", Value::Text),
            ("2023-01-02", Value::Text),
            ("-", Value::Text),
            (".", Value::Text),
            ("e5", Value::Text),
            ("99999999999999999999", Value::Decimal(1e20)),
        ] {
            assert_eq!(resolve(text), value, "{text}");
        }
        let quoted = Scalar::new("12".into(), Style::Quoted, None);
        assert_eq!(quoted.value, Value::Text);
    }
}
