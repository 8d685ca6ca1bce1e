//! A part of a row that few messages ask for.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use crate::record::{Row, Unreadable};

/// A value that stays as it is written until somebody asks for it: the row around it is read by every
/// message of a patient, visit or order, and copied with it.
#[derive(Clone, Default)]
pub(crate) struct Aside(Option<Arc<RawValue>>);

impl Aside {
    /// Nothing was written.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// What is written; the default of nothing.
    pub(crate) fn read<'a, T, R>(&'a self) -> Result<T, Unreadable>
    where
        T: Deserialize<'a> + Default,
        R: Row,
    {
        let Some(raw) = &self.0 else {
            return Ok(T::default());
        };
        serde_json::from_str(raw.get()).map_err(|_| Unreadable(R::NAME))
    }

    /// A value, written.
    pub(crate) fn of(value: &impl Serialize) -> Self {
        // Texts, numbers and lists of them can always be written.
        Self(to_raw_value(value).ok().map(Into::into))
    }

    fn text(&self) -> &str {
        self.0.as_ref().map_or("null", |raw| raw.get())
    }
}

impl PartialEq for Aside {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Aside {}

/// It holds what messages say of people.
impl fmt::Debug for Aside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aside({} bytes)", self.text().len())
    }
}

impl Serialize for Aside {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Aside {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(Some(raw.into())))
    }
}
