//! Which code system the name of a coding system in HL7 v2 means (CWE.3; HL7 table 0396).

use super::index::index;

/// Before the URLs of the tables of HL7 v2 (FHIR R4 terminologies-v2.html).
const TABLE: &str = "http://terminology.hl7.org/CodeSystem/v2-";
/// Before the OIDs of the tables of HL7 v2.
const TABLE_OID: &str = "2.16.840.1.113883.12.";

/// Names of table 0396, and the URL that FHIR knows the system by (HL7 Terminology, NamingSystem);
/// after them names that are in no table and that labs write all the same.
const NAMES: &[(&str, &str)] = &[
    (
        "ACTCODE",
        "http://terminology.hl7.org/CodeSystem/v3-ActCode",
    ),
    ("C4", "http://www.ama-assn.org/go/cpt"),
    ("CAS", "http://terminology.hl7.org/CodeSystem/CAS"),
    ("CD2", "http://www.ada.org/cdt"),
    ("CDCREC", "urn:oid:2.16.840.1.113883.6.238"),
    ("CLINVAR-V", "http://www.ncbi.nlm.nih.gov/clinvar"),
    ("CPTM", "http://www.ama-assn.org/go/cpt"),
    ("CVX", "http://hl7.org/fhir/sid/cvx"),
    ("DCM", "http://dicom.nema.org/resources/ontology/DCM"),
    ("FDAUNII", "http://fdasis.nlm.nih.gov"),
    (
        "HCPCS",
        "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
    ),
    ("HCPT", "http://nucc.org/provider-taxonomy"),
    ("HGVS.c", "http://varnomen.hgvs.org"),
    ("HGVS.g", "http://varnomen.hgvs.org"),
    ("HGVS.p", "http://varnomen.hgvs.org"),
    (
        "HPC",
        "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
    ),
    (
        "HSLOC",
        "https://www.cdc.gov/nhsn/cdaportal/terminology/codesystem/hsloc.html",
    ),
    ("I10", "http://hl7.org/fhir/sid/icd-10"),
    ("I10C", "http://hl7.org/fhir/sid/icd-10-cm"),
    ("I10P", "http://www.cms.gov/Medicare/Coding/ICD10"),
    ("I9C", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("I9CDX", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("I9CP", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("ICDO3", "http://terminology.hl7.org/CodeSystem/icd-o-3"),
    ("ICF", "http://hl7.org/fhir/sid/icf"),
    ("ISO3166_1", "urn:iso:std:iso:3166"),
    ("ISO3166_2", "urn:iso:std:iso:3166:-2"),
    ("ISO4217", "urn:iso:std:iso:4217"),
    ("LN", "http://loinc.org"),
    ("MDC", "urn:iso:std:iso:11073:10101"),
    ("MEDR", "https://www.meddra.org"),
    ("MVX", "http://terminology.hl7.org/CodeSystem/MVX"),
    ("NAICS", "http://terminology.hl7.org/CodeSystem/naics"),
    ("NCIT", "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl"),
    ("NDC", "http://hl7.org/fhir/sid/ndc"),
    ("NPI", "http://hl7.org/fhir/sid/us-npi"),
    (
        "NULLFL",
        "http://terminology.hl7.org/CodeSystem/v3-NullFlavor",
    ),
    (
        "OBSMETHOD",
        "http://terminology.hl7.org/CodeSystem/v3-ObservationMethod",
    ),
    ("RefSeq-P", "http://www.ncbi.nlm.nih.gov/refseq"),
    ("refSeq-G", "http://www.ncbi.nlm.nih.gov/refseq"),
    ("refSeq-T", "http://www.ncbi.nlm.nih.gov/refseq"),
    (
        "ROLECLASS",
        "http://terminology.hl7.org/CodeSystem/v3-RoleClass",
    ),
    (
        "ROLECODE",
        "http://terminology.hl7.org/CodeSystem/v3-RoleCode",
    ),
    ("RXNORM", "http://www.nlm.nih.gov/research/umls/rxnorm"),
    ("SCT", "http://snomed.info/sct"),
    ("SNM3", "http://terminology.hl7.org/CodeSystem/SNM3"),
    ("UCUM", "http://unitsofmeasure.org"),
    ("USPS", "https://www.usps.com/"),
    ("WC", "http://www.whocc.no/atc"),
    // In no table.
    ("CPT", "http://www.ama-assn.org/go/cpt"),
    ("CPT4", "http://www.ama-assn.org/go/cpt"),
    ("ICD10", "http://hl7.org/fhir/sid/icd-10"),
    ("ICD10CM", "http://hl7.org/fhir/sid/icd-10-cm"),
    ("ICD-10-CM", "http://hl7.org/fhir/sid/icd-10-cm"),
    ("ICD10PCS", "http://www.cms.gov/Medicare/Coding/ICD10"),
    ("ICD9", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("LNC", "http://loinc.org"),
    ("LOINC", "http://loinc.org"),
    ("RXN", "http://www.nlm.nih.gov/research/umls/rxnorm"),
    ("SNOMED", "http://snomed.info/sct"),
    ("SNOMEDCT", "http://snomed.info/sct"),
    ("SNOMED-CT", "http://snomed.info/sct"),
];

/// The canonical URL of the code system that a v2 message calls by this name: a name of table 0396
/// (`LN`, `SCT`), or a table of HL7 (`HL70001`) that is a code system of its own. `None` for a local
/// name (`L`, `99LAB`) and for one that means no system by itself.
///
/// Case does not matter: senders write `Ln` and `loinc`.
#[must_use]
pub fn v2_system(name: &str) -> Option<String> {
    let name = name.trim();
    if let Some((_, url)) = NAMES.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)) {
        return Some((*url).to_owned());
    }
    let number = name
        .get(..3)
        .filter(|head| head.eq_ignore_ascii_case("HL7"));
    let number = number.and_then(|_| name.get(3..))?;
    if number.len() != 4 {
        return None;
    }
    let url = format!("{TABLE}{:04}", number.parse::<u16>().ok()?);
    (!index().find("CodeSystem", &url).is_empty()).then_some(url)
}

/// The names of table 0396 that mean a system.
pub(super) fn names_of(url: &str) -> impl Iterator<Item = &'static str> {
    let fits = move |(_, own): &&(&str, &str)| *own == url;
    let names: Vec<&'static str> = NAMES.iter().filter(fits).map(|(name, _)| *name).collect();
    names.into_iter()
}

/// The number of the table that a code system is.
pub(super) fn table_of(url: &str) -> Option<u16> {
    let number = url.strip_prefix(TABLE)?;
    number.parse().ok().filter(|_| number.len() == 4)
}

/// The OID of a table.
pub(super) fn table_oid(table: u16) -> String {
    format!("{TABLE_OID}{table}")
}

#[cfg(test)]
pub(super) fn named() -> impl Iterator<Item = (&'static str, &'static str)> {
    NAMES.iter().copied()
}
