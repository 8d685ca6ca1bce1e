//! The FHIR model against real material.

mod examples;
mod shared;
