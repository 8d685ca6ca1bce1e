//! Values that must not be printed by accident.

use std::fmt;

/// Patient content: prints as `…`; revealing it is a named method, so that it can be searched for.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Phi<T>(T);

impl<T> Phi<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for delivery, search or a person who may see it; never for a log.
    pub const fn reveal(&self) -> &T {
        &self.0
    }

    /// The value itself, as [`Phi::reveal`].
    pub fn into_revealed(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Phi<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl<T> fmt::Display for Phi<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}
