//! FHIR R4 as hilum's canonical form: resources as trees, checked by tables.
