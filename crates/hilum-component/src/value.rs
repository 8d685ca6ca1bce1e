//! Values that configuration writes with a meaning of their own: durations, sizes, expressions,
//! names of systems, files of the site, secrets.
//!
//! Each carries a `format` in the schema, by which `hilum check` verifies it and the editor and
//! the console choose how to ask for it.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error as _};

/// A duration written with its unit: `250ms`, `5s`, `10m`, `3h`, `2d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub u64);

impl Millis {
    /// The duration in the standard library's type.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }

    /// Reads a duration; the error says what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let units = [
            ("ms", 1),
            ("s", 1_000),
            ("m", 60_000),
            ("h", 3_600_000),
            ("d", 86_400_000),
        ];
        quantity(text, &units).map(Self).ok_or_else(|| {
            "expected a duration with its unit, such as 250ms, 5s, 10m, 3h or 2d".to_owned()
        })
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [
            ("d", 86_400_000),
            ("h", 3_600_000),
            ("m", 60_000),
            ("s", 1_000),
        ];
        for (unit, factor) in units {
            if self.0 > 0 && self.0.is_multiple_of(factor) {
                return write!(f, "{}{unit}", self.0 / factor);
            }
        }
        write!(f, "{}ms", self.0)
    }
}

/// A number of bytes written with its unit: `64B`, `256kB`, `10MB`, `4GB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Size {
    /// Reads a size; the error says what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let units = [
            ("B", 1),
            ("kB", 1_000),
            ("MB", 1_000_000),
            ("GB", 1_000_000_000),
        ];
        quantity(text, &units).map(Self).ok_or_else(|| {
            "expected a size with its unit, such as 64B, 256kB, 10MB or 4GB".to_owned()
        })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, factor) in [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)] {
            if self.0 > 0 && self.0.is_multiple_of(factor) {
                return write!(f, "{}{unit}", self.0 / factor);
            }
        }
        write!(f, "{}B", self.0)
    }
}

fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let factor = units.iter().find(|(name, _)| *name == unit.trim_start())?.1;
    number.parse::<u64>().ok()?.checked_mul(factor)
}

macro_rules! quantity_value {
    ($name:ident, $format:literal, $doc:literal) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(D::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": $format })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}
quantity_value!(Millis, "duration", "a duration");
quantity_value!(Size, "size", "a size");

macro_rules! text_value {
    ($(#[$doc:meta])* $name:ident, $format:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The text as written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": $format })
            }
        }
    };
}
text_value!(
    /// An expression of FHIRPath in the dialect of the channel's format.
    Expr, "expression"
);
text_value!(
    /// A path of the channel's format, as a place to write to.
    PathText, "path"
);
text_value!(
    /// The name of a system in `systems/`.
    SystemName, "system"
);
text_value!(
    /// A file of the site's folder, relative to it.
    SiteFile, "site-file"
);
text_value!(
    /// A reference to a secret: `env:NAME` or `file:PATH`, never the secret itself.
    Secret, "secret"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_need_their_unit() {
        for (text, ms) in [
            ("250ms", 250),
            ("5s", 5_000),
            ("10 m", 600_000),
            ("2d", 172_800_000),
        ] {
            assert_eq!(Millis::parse(text), Ok(Millis(ms)), "{text}");
        }
        for text in [
            "5",
            "",
            "s",
            "5 weeks",
            "-1s",
            "1.5s",
            "99999999999999999999d",
            "5é",
        ] {
            assert!(Millis::parse(text).is_err(), "{text}");
        }
        assert_eq!(Size::parse("256kB"), Ok(Size(256_000)));
        assert!(Size::parse("256kb").is_err());
        assert_eq!(
            (Millis(90_000).to_string(), Size(4_000_000_000).to_string()),
            ("90s".into(), "4GB".into())
        );
    }
}
