//! Values of HL7 v2 as values of FHIR.

pub(crate) mod encode;
pub(crate) mod hash;
pub(crate) mod magic;
pub mod number;
pub(crate) mod outside;
pub(crate) mod systems;
pub(crate) mod time;
pub(crate) mod uri;
