//! Numbers of patients, as far as the state of identity, a conversion and a store have to decide the same of
//! them.

/// Types of identifiers (HL7 table 0203) that name a person and under which no messages come: social
/// security (`SS`, `SB`) and driver's licence.
const NAMING_NOBODY: [&str; 3] = ["SS", "SB", "DL"];

/// Whether a number of this type says nothing of which record is meant: two records may have it, and no
/// message comes under it.
#[must_use]
pub fn names_nobody(kind: &str) -> bool {
    NAMING_NOBODY.contains(&kind)
}
