//! Names of coding systems (HL7 table 0396) and their URIs (terminology.hl7.org).

use std::borrow::Cow;

/// Name, OID and URI; sorted by name.
const SYSTEMS: &[(&str, &str, &str)] = &[
    (
        "ACR",
        "2.16.840.1.113883.6.76",
        "http://terminology.hl7.org/CodeSystem/ACR",
    ),
    ("ATC", "2.16.840.1.113883.6.73", "http://www.whocc.no/atc"),
    (
        "C4",
        "2.16.840.1.113883.6.12",
        "http://www.ama-assn.org/go/cpt",
    ),
    (
        "C5",
        "2.16.840.1.113883.6.12",
        "http://www.ama-assn.org/go/cpt",
    ),
    (
        "CAS",
        "2.16.840.1.113883.6.61",
        "http://terminology.hl7.org/CodeSystem/CAS",
    ),
    (
        "CDCREC",
        "2.16.840.1.113883.6.238",
        "urn:oid:2.16.840.1.113883.6.238",
    ),
    ("CDT", "2.16.840.1.113883.6.13", "http://www.ada.org/cdt"),
    (
        "CPT",
        "2.16.840.1.113883.6.12",
        "http://www.ama-assn.org/go/cpt",
    ),
    (
        "CPTM",
        "2.16.840.1.113883.6.12",
        "http://www.ama-assn.org/go/cpt",
    ),
    (
        "CVX",
        "2.16.840.1.113883.12.292",
        "http://hl7.org/fhir/sid/cvx",
    ),
    (
        "DCM",
        "1.2.840.10008.2.16.4",
        "http://dicom.nema.org/resources/ontology/DCM",
    ),
    (
        "DRG",
        "",
        "https://www.cms.gov/Medicare/Medicare-Fee-for-Service-Payment/AcuteInpatientPPS/MS-DRG-Classifications-and-Software",
    ),
    (
        "HCPCS",
        "2.16.840.1.113883.6.285",
        "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
    ),
    (
        "I10",
        "2.16.840.1.113883.6.3",
        "http://hl7.org/fhir/sid/icd-10",
    ),
    (
        "I10C",
        "2.16.840.1.113883.6.90",
        "http://hl7.org/fhir/sid/icd-10-cm",
    ),
    (
        "I10P",
        "2.16.840.1.113883.6.4",
        "http://www.cms.gov/Medicare/Coding/ICD10",
    ),
    (
        "I9",
        "2.16.840.1.113883.6.42",
        "http://terminology.hl7.org/CodeSystem/icd9",
    ),
    (
        "I9C",
        "2.16.840.1.113883.6.103",
        "http://hl7.org/fhir/sid/icd-9-cm",
    ),
    (
        "I9CDX",
        "2.16.840.1.113883.6.103",
        "http://hl7.org/fhir/sid/icd-9-cm",
    ),
    (
        "I9CP",
        "2.16.840.1.113883.6.104",
        "http://hl7.org/fhir/sid/icd-9-cm",
    ),
    (
        "ICD10",
        "2.16.840.1.113883.6.3",
        "http://hl7.org/fhir/sid/icd-10",
    ),
    (
        "ICD10CM",
        "2.16.840.1.113883.6.90",
        "http://hl7.org/fhir/sid/icd-10-cm",
    ),
    ("ISO3166", "1.0.3166.1.2.2", "urn:iso:std:iso:3166"),
    ("ISO3166_1", "1.0.3166.1.2.2", "urn:iso:std:iso:3166"),
    ("ISO4217", "", "urn:iso:std:iso:4217"),
    ("ISO639", "1.0.639.1", "urn:ietf:bcp:47"),
    ("LN", "2.16.840.1.113883.6.1", "http://loinc.org"),
    ("LOINC", "2.16.840.1.113883.6.1", "http://loinc.org"),
    (
        "MDC",
        "2.16.840.1.113883.6.24",
        "urn:iso:std:iso:11073:10101",
    ),
    (
        "MEDCIN",
        "2.16.840.1.113883.6.26",
        "http://terminology.hl7.org/CodeSystem/MEDCIN",
    ),
    (
        "MVX",
        "2.16.840.1.113883.12.227",
        "http://terminology.hl7.org/CodeSystem/MVX",
    ),
    (
        "NCIT",
        "2.16.840.1.113883.3.26.1.1",
        "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl",
    ),
    (
        "NCI",
        "2.16.840.1.113883.3.26.1.1",
        "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl",
    ),
    (
        "NDC",
        "2.16.840.1.113883.6.69",
        "http://hl7.org/fhir/sid/ndc",
    ),
    (
        "NDFRT",
        "2.16.840.1.113883.6.209",
        "http://hl7.org/fhir/ndfrt",
    ),
    (
        "NPI",
        "2.16.840.1.113883.4.6",
        "http://hl7.org/fhir/sid/us-npi",
    ),
    (
        "NUCC",
        "2.16.840.1.113883.6.101",
        "http://nucc.org/provider-taxonomy",
    ),
    (
        "RXNORM",
        "2.16.840.1.113883.6.88",
        "http://www.nlm.nih.gov/research/umls/rxnorm",
    ),
    ("SCT", "2.16.840.1.113883.6.96", "http://snomed.info/sct"),
    ("SNM", "", "http://terminology.hl7.org/CodeSystem/SNM"),
    ("SNOMED", "2.16.840.1.113883.6.96", "http://snomed.info/sct"),
    (
        "SNOMED-CT",
        "2.16.840.1.113883.6.96",
        "http://snomed.info/sct",
    ),
    (
        "SNOMEDCT",
        "2.16.840.1.113883.6.96",
        "http://snomed.info/sct",
    ),
    ("UCUM", "2.16.840.1.113883.6.8", "http://unitsofmeasure.org"),
    ("UNII", "2.16.840.1.113883.4.9", "http://fdasis.nlm.nih.gov"),
    ("USPS", "2.16.840.1.113883.6.92", "https://www.usps.com/"),
];

/// The URI of a system by its name; `HL70078` and `0078` are tables of HL7 v2.
pub(super) fn by_name(name: &str) -> Option<Cow<'static, str>> {
    let number = name.strip_prefix("HL7").unwrap_or(name);
    let number = number.strip_prefix('-').unwrap_or(number);
    if number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Cow::Owned(format!(
            "http://terminology.hl7.org/CodeSystem/v2-{number}"
        )));
    }
    let found = SYSTEMS
        .iter()
        .find(|(known, ..)| known.eq_ignore_ascii_case(name));
    found.map(|(.., uri)| Cow::Borrowed(*uri))
}

/// The URI of a system by its OID.
pub(super) fn by_oid(oid: &str) -> Option<&'static str> {
    let mut known = SYSTEMS.iter().filter(|(_, known, _)| !known.is_empty());
    known
        .find(|(_, known, _)| *known == oid)
        .map(|(.., uri)| *uri)
}
