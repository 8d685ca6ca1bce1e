//! URLs of the standard that terminology goes by.

use crate::table::ValueKind;

/// Before the name of a property that FHIR defines (FHIR R4 codesystem.html#defined-props).
pub(crate) const CONCEPT_PROPERTIES: &str = "http://hl7.org/fhir/concept-properties#";

/// Where a definition stands (FHIR R4 extension-structuredefinition-standards-status.html).
pub(crate) const STANDARDS_STATUS: &str =
    "http://hl7.org/fhir/StructureDefinition/structuredefinition-standards-status";

/// A value set needs a supplement (FHIR R4 extension-valueset-supplement.html).
pub(crate) const VALUESET_SUPPLEMENT: &str =
    "http://hl7.org/fhir/StructureDefinition/valueset-supplement";

/// A value set says how it is to be expanded.
pub(crate) const EXPANSION_PARAMETERS: [&str; 2] = [
    "http://hl7.org/fhir/StructureDefinition/valueset-expansion-parameter",
    "http://hl7.org/fhir/tools/StructureDefinition/valueset-expansion-parameter",
];

/// A value set marks one of its codes as deprecated (FHIR R4 extension-valueset-deprecated.html).
pub(crate) const VALUESET_DEPRECATED: &str =
    "http://hl7.org/fhir/StructureDefinition/valueset-deprecated";

/// The name of a property that an extension says: a URI, since those of concepts are codes.
pub(crate) const LABEL: &str = "http://hl7.org/fhir/concept-properties#label";
/// See [`LABEL`].
pub(crate) const ORDER: &str = "http://hl7.org/fhir/concept-properties#order";
/// See [`LABEL`].
pub(crate) const WEIGHT: &str = "http://hl7.org/fhir/concept-properties#itemWeight";
/// See [`LABEL`].
pub(crate) const STATUS: &str = "http://hl7.org/fhir/concept-properties#status";
/// See [`LABEL`].
pub(crate) const DEFINITION: &str = "http://hl7.org/fhir/concept-properties#definition";

/// Extensions of concepts of code systems that are properties by another name.
pub(crate) const EXTENSIONS_AS_PROPERTIES: [(&str, &str, ValueKind); 4] = [
    (
        "http://hl7.org/fhir/StructureDefinition/codesystem-label",
        LABEL,
        ValueKind::String,
    ),
    (
        "http://hl7.org/fhir/StructureDefinition/codesystem-conceptOrder",
        ORDER,
        ValueKind::Decimal,
    ),
    (
        "http://hl7.org/fhir/StructureDefinition/itemWeight",
        WEIGHT,
        ValueKind::Decimal,
    ),
    (STANDARDS_STATUS, STATUS, ValueKind::Code),
];

/// The same of the concepts that a value set lists.
pub(crate) const VALUESET_PROPERTIES: [(&str, &str, ValueKind); 3] = [
    (
        "http://hl7.org/fhir/StructureDefinition/valueset-label",
        LABEL,
        ValueKind::String,
    ),
    (
        "http://hl7.org/fhir/StructureDefinition/valueset-conceptOrder",
        ORDER,
        ValueKind::Decimal,
    ),
    (
        "http://hl7.org/fhir/StructureDefinition/itemWeight",
        WEIGHT,
        ValueKind::Decimal,
    ),
];

/// Extensions of concepts of code systems that expansions repeat.
pub(crate) const KEPT_OF_SYSTEMS: [&str; 4] = [
    "http://hl7.org/fhir/StructureDefinition/coding-sctdescid",
    "http://hl7.org/fhir/StructureDefinition/rendering-style",
    "http://hl7.org/fhir/StructureDefinition/rendering-xhtml",
    "http://hl7.org/fhir/StructureDefinition/codesystem-alternate",
];

/// Extensions of the concepts that a value set lists that expansions repeat.
pub(crate) const KEPT_OF_VALUE_SETS: [&str; 6] = [
    VALUESET_DEPRECATED,
    STANDARDS_STATUS,
    "http://hl7.org/fhir/StructureDefinition/valueset-concept-definition",
    "http://hl7.org/fhir/StructureDefinition/coding-sctdescid",
    "http://hl7.org/fhir/StructureDefinition/rendering-style",
    "http://hl7.org/fhir/StructureDefinition/rendering-xhtml",
];

/// Extensions of designations that expansions repeat.
pub(crate) const KEPT_OF_DESIGNATIONS: [&str; 2] = [
    "http://hl7.org/fhir/StructureDefinition/coding-sctdescid",
    STANDARDS_STATUS,
];
