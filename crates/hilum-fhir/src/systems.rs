//! What HL7 v2 calls code systems: names of table 0396 and OIDs against the URLs of FHIR.
//!
//! The one table of it: conversions, look-ups and `$preferred-id` read this. It knows no site and no
//! tables of HL7 v2 itself (`HL70001`), whose URLs are made of their numbers ([`V2_TABLE`]).

use std::sync::LazyLock;

/// Before the URLs of the tables of HL7 v2, which end with four digits (FHIR R4
/// terminologies-v2.html).
pub const V2_TABLE: &str = "http://terminology.hl7.org/CodeSystem/v2-";
/// Before the OIDs of the tables of HL7 v2.
pub const V2_TABLE_OID: &str = "2.16.840.1.113883.12.";

/// A code system with its names.
struct Row {
    url: &'static str,
    /// What messages of HL7 v2 call it, what is written first.
    names: &'static [&'static str],
    oids: &'static [&'static str],
}

const fn row(
    url: &'static str,
    names: &'static [&'static str],
    oids: &'static [&'static str],
) -> Row {
    Row { url, names, oids }
}

/// Sorted by URL. URLs and OIDs are those of HL7 Terminology (NamingSystem) and of FHIR R4
/// (terminologies-systems.html); names are those of table 0396 of HL7 v2, then such as are in no
/// table and that senders write all the same. `ATC` is a collection of cultures in the table and
/// the classification of drugs in the field, so it is read as the latter and never written.
static ROWS: &[Row] = &[
    row(
        "http://dicom.nema.org/resources/ontology/DCM",
        &["DCM"],
        &["1.2.840.10008.2.16.4"],
    ),
    row(
        "http://fdasis.nlm.nih.gov",
        &["FDAUNII", "UNII"],
        &["2.16.840.1.113883.4.9"],
    ),
    row(
        "http://hl7.org/fhir/ndfrt",
        &["NDFRT"],
        &["2.16.840.1.113883.6.209"],
    ),
    row(
        "http://hl7.org/fhir/sid/cvx",
        &["CVX"],
        &["2.16.840.1.113883.12.292"],
    ),
    row(
        "http://hl7.org/fhir/sid/icd-10",
        &["I10", "ICD10"],
        &["2.16.840.1.113883.6.3"],
    ),
    row(
        "http://hl7.org/fhir/sid/icd-10-cm",
        &["I10C", "ICD10CM", "ICD-10-CM"],
        &["2.16.840.1.113883.6.90"],
    ),
    row(
        "http://hl7.org/fhir/sid/icd-9-cm",
        &["I9CDX", "I9C", "I9CP", "ICD9"],
        &["2.16.840.1.113883.6.103", "2.16.840.1.113883.6.104"],
    ),
    row("http://hl7.org/fhir/sid/icf", &["ICF"], &[]),
    row(
        "http://hl7.org/fhir/sid/ndc",
        &["NDC"],
        &["2.16.840.1.113883.6.69"],
    ),
    row(
        "http://hl7.org/fhir/sid/us-npi",
        &["NPI"],
        &["2.16.840.1.113883.4.6"],
    ),
    row(
        "http://loinc.org",
        &["LN", "LOINC", "LNC"],
        &["2.16.840.1.113883.6.1"],
    ),
    row(
        "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl",
        &["NCIT", "NCI"],
        &["2.16.840.1.113883.3.26.1.1"],
    ),
    row(
        "http://nucc.org/provider-taxonomy",
        &["HCPT", "NUCC"],
        &["2.16.840.1.113883.6.101"],
    ),
    row(
        "http://snomed.info/sct",
        &["SCT", "SNOMED", "SNOMEDCT", "SNOMED-CT"],
        &["2.16.840.1.113883.6.96"],
    ),
    row(
        "http://terminology.hl7.org/CodeSystem/ACR",
        &["ACR"],
        &["2.16.840.1.113883.6.76"],
    ),
    row(
        "http://terminology.hl7.org/CodeSystem/CAS",
        &["CAS"],
        &["2.16.840.1.113883.6.61"],
    ),
    row(
        "http://terminology.hl7.org/CodeSystem/MEDCIN",
        &["MEDCIN"],
        &["2.16.840.1.113883.6.26"],
    ),
    row(
        "http://terminology.hl7.org/CodeSystem/MVX",
        &["MVX"],
        &["2.16.840.1.113883.12.227"],
    ),
    row("http://terminology.hl7.org/CodeSystem/SNM", &["SNM"], &[]),
    row(
        "http://terminology.hl7.org/CodeSystem/SNM3",
        &["SNM3"],
        &["2.16.840.1.113883.6.51"],
    ),
    row(
        "http://terminology.hl7.org/CodeSystem/icd-o-3",
        &["ICDO3"],
        &["2.16.840.1.113883.6.43.1"],
    ),
    row(
        "http://terminology.hl7.org/CodeSystem/icd9",
        &["I9"],
        &["2.16.840.1.113883.6.42"],
    ),
    row(
        "http://terminology.hl7.org/CodeSystem/naics",
        &["NAICS"],
        &[],
    ),
    row(
        "http://terminology.hl7.org/CodeSystem/v3-ActCode",
        &["ACTCODE"],
        &[],
    ),
    row(
        "http://terminology.hl7.org/CodeSystem/v3-NullFlavor",
        &["NULLFL"],
        &[],
    ),
    row(
        "http://terminology.hl7.org/CodeSystem/v3-ObservationMethod",
        &["OBSMETHOD"],
        &[],
    ),
    row(
        "http://terminology.hl7.org/CodeSystem/v3-RoleClass",
        &["ROLECLASS"],
        &[],
    ),
    row(
        "http://terminology.hl7.org/CodeSystem/v3-RoleCode",
        &["ROLECODE"],
        &[],
    ),
    row(
        "http://unitsofmeasure.org",
        &["UCUM"],
        &["2.16.840.1.113883.6.8"],
    ),
    row(
        "http://varnomen.hgvs.org",
        &["HGVS.c", "HGVS.g", "HGVS.p"],
        &[],
    ),
    row(
        "http://www.ada.org/cdt",
        &["CD2", "CDT"],
        &["2.16.840.1.113883.6.13"],
    ),
    row(
        "http://www.ama-assn.org/go/cpt",
        &["C4", "C5", "CPT", "CPT4", "CPTM"],
        &["2.16.840.1.113883.6.12"],
    ),
    row(
        "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
        &["HCPCS", "HPC"],
        &["2.16.840.1.113883.6.285"],
    ),
    row(
        "http://www.cms.gov/Medicare/Coding/ICD10",
        &["I10P", "ICD10PCS"],
        &["2.16.840.1.113883.6.4"],
    ),
    row("http://www.ncbi.nlm.nih.gov/clinvar", &["CLINVAR-V"], &[]),
    row(
        "http://www.ncbi.nlm.nih.gov/refseq",
        &["RefSeq-P", "refSeq-G", "refSeq-T"],
        &[],
    ),
    row(
        "http://www.nlm.nih.gov/research/umls/rxnorm",
        &["RXNORM", "RXN"],
        &["2.16.840.1.113883.6.88"],
    ),
    row(
        "http://www.whocc.no/atc",
        &["WC", "ATC"],
        &["2.16.840.1.113883.6.73"],
    ),
    row(
        "https://www.cdc.gov/nhsn/cdaportal/terminology/codesystem/hsloc.html",
        &["HSLOC"],
        &[],
    ),
    row(
        "https://www.cms.gov/Medicare/Medicare-Fee-for-Service-Payment/AcuteInpatientPPS/MS-DRG-Classifications-and-Software",
        &["DRG"],
        &[],
    ),
    row("https://www.meddra.org", &["MEDR"], &[]),
    row(
        "https://www.usps.com/",
        &["USPS"],
        &["2.16.840.1.113883.6.92"],
    ),
    row("urn:ietf:bcp:47", &["ISO639"], &["1.0.639.1"]),
    row(
        "urn:iso:std:iso:11073:10101",
        &["MDC"],
        &["2.16.840.1.113883.6.24"],
    ),
    row(
        "urn:iso:std:iso:3166",
        &["ISO3166_1", "ISO3166"],
        &["1.0.3166.1.2.2"],
    ),
    row("urn:iso:std:iso:3166:-2", &["ISO3166_2"], &[]),
    row("urn:iso:std:iso:4217", &["ISO4217"], &[]),
    row(
        "urn:oid:2.16.840.1.113883.6.238",
        &["CDCREC"],
        &["2.16.840.1.113883.6.238"],
    ),
];

/// Names in capitals and OIDs, sorted, with the places of their rows.
struct Index {
    names: Vec<(Box<str>, &'static Row)>,
    oids: Vec<(&'static str, &'static Row)>,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let of_row = |row: &'static Row| {
        let capitals = |name: &&str| name.to_ascii_uppercase().into_boxed_str();
        row.names.iter().map(move |name| (capitals(name), row))
    };
    let mut names: Vec<_> = ROWS.iter().flat_map(of_row).collect();
    names.sort_by(|(a, _), (b, _)| a.cmp(b));
    let of_row = |row: &'static Row| row.oids.iter().map(move |oid| (*oid, row));
    let mut oids: Vec<_> = ROWS.iter().flat_map(of_row).collect();
    oids.sort_by_key(|(oid, _)| *oid);
    Index { names, oids }
});

/// The URL of the code system that HL7 v2 calls so; upper and lower case are the same, since
/// senders write `Ln` and `loinc`.
#[must_use]
pub fn url_of_name(name: &str) -> Option<&'static str> {
    let capitals = || name.bytes().map(|byte| byte.to_ascii_uppercase());
    let names = &INDEX.names;
    let found = names.binary_search_by(|(known, _)| known.bytes().cmp(capitals()));
    found.ok().and_then(|at| Some(names.get(at)?.1.url))
}

/// The URL of the code system with an OID, without `urn:oid:`.
#[must_use]
pub fn url_of_oid(oid: &str) -> Option<&'static str> {
    let oids = &INDEX.oids;
    let found = oids.binary_search_by(|(known, _)| known.cmp(&oid));
    found.ok().and_then(|at| Some(oids.get(at)?.1.url))
}

/// What HL7 v2 calls the code system with a URL, the name that is written first.
#[must_use]
pub fn names_of_url(url: &str) -> &'static [&'static str] {
    let found = ROWS.binary_search_by(|row| row.url.cmp(url));
    let row = found.ok().and_then(|at| ROWS.get(at));
    row.map_or(&[], |row| row.names)
}

/// The URL and the names of each code system, sorted by URL.
pub fn all() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    ROWS.iter().map(|row| (row.url, row.names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_each_name_means_one_system() {
        assert!(ROWS.is_sorted_by(|a, b| a.url < b.url));
        assert!(INDEX.names.is_sorted_by(|(a, _), (b, _)| a < b));
        assert!(INDEX.oids.is_sorted_by(|(a, _), (b, _)| a < b));
    }

    #[test]
    fn a_system_is_found_by_name_url_and_oid() {
        for name in ["LN", "ln", "loinc", "LNC"] {
            assert_eq!(url_of_name(name), Some("http://loinc.org"), "{name}");
        }
        assert_eq!(url_of_name("hgvs.C"), Some("http://varnomen.hgvs.org"));
        assert_eq!(
            url_of_oid("2.16.840.1.113883.6.104"),
            Some("http://hl7.org/fhir/sid/icd-9-cm")
        );
        assert_eq!(names_of_url("http://snomed.info/sct").first(), Some(&"SCT"));
        for none in ["", "L", "99LAB", "HL70001", "LOIN", "LOINCS"] {
            assert_eq!(url_of_name(none), None, "{none}");
        }
        assert_eq!(url_of_oid("2.16.840.1.113883.6"), None);
        assert!(names_of_url("http://example.org").is_empty());
    }
}
