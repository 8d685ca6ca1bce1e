//! Tables in which a wrong row can harm a patient at once, and who has to look at those.
//!
//! Blood groups, susceptibilities, units, allergies and drugs: a row of such a table needs two
//! different people, and no program suggests one. A table is known by the words of its name, by
//! the field that it is used on, or by a code system of its rows; a site can say it outright.

use std::fmt;

/// What a table is about that makes it a matter of two people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Risk {
    /// Blood groups and what goes with them.
    BloodGroup,
    /// Susceptibilities, and the interpretation of results.
    Susceptibility,
    /// Units of measure.
    Units,
    /// Allergies.
    Allergies,
    /// Drugs.
    Drugs,
    /// The site says so.
    Declared,
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BloodGroup => "blood groups",
            Self::Susceptibility => "susceptibilities or interpretations",
            Self::Units => "units",
            Self::Allergies => "allergies",
            Self::Drugs => "drugs",
            Self::Declared => "what the site declares to be of high risk",
        })
    }
}

const WORDS: &[(Risk, &[&str])] = &[
    (Risk::BloodGroup, &["abo", "rh", "rhesus", "transfusion"]),
    (
        Risk::Susceptibility,
        &[
            "susceptibility",
            "susceptibilities",
            "antibiogram",
            "antibiograms",
            "resistance",
            "sir",
        ],
    ),
    (Risk::Units, &["unit", "units", "ucum", "uom"]),
    (
        Risk::Allergies,
        &[
            "allergy",
            "allergies",
            "allergen",
            "allergens",
            "intolerance",
            "intolerances",
        ],
    ),
    (
        Risk::Drugs,
        &[
            "drug",
            "drugs",
            "medication",
            "medications",
            "medicine",
            "medicines",
            "formulary",
            "rxnorm",
            "ndc",
            "atc",
            "vaccine",
            "vaccines",
            "cvx",
        ],
    ),
];

/// Code systems as HL7 v2 names them (table 0396), as FHIR does, and in short.
const SYSTEMS: &[(Risk, &[&str])] = &[
    (
        Risk::Units,
        &["ucum", "http://unitsofmeasure.org", "iso+", "ansi+"],
    ),
    (
        Risk::Susceptibility,
        &[
            "hl70078",
            "http://terminology.hl7.org/codesystem/v3-observationinterpretation",
        ],
    ),
    (Risk::Allergies, &["hl70127", "hl70128"]),
    (
        Risk::Drugs,
        &[
            "rxnorm",
            "http://www.nlm.nih.gov/research/umls/rxnorm",
            "ndc",
            "http://hl7.org/fhir/sid/ndc",
            "atc",
            "http://www.whocc.no/atc",
            "cvx",
            "http://hl7.org/fhir/sid/cvx",
            "fddc",
            "fdddc",
            "mddid",
            "w1",
            "w2",
            "w4",
        ],
    ),
];

/// Fields of HL7 v2.5.1 chapters 3, 4 and 7 that hold such codes.
const FIELDS: &[(Risk, &[&str])] = &[
    (
        Risk::Units,
        &[
            "OBX-6", "RXE-5", "RXO-4", "RXA-7", "RXD-5", "RXG-7", "RXC-4",
        ],
    ),
    (Risk::Susceptibility, &["OBX-8"]),
    (Risk::Allergies, &["AL1-3", "IAM-3", "AL1-5", "IAM-5"]),
    (
        Risk::Drugs,
        &["RXE-2", "RXO-1", "RXD-2", "RXA-5", "RXG-4", "RXC-2"],
    ),
];

/// Elements of FHIR that hold such codes, as parts of a path.
const ELEMENTS: &[(Risk, &[&str])] = &[
    (Risk::Units, &["valueQuantity", "doseQuantity"]),
    (Risk::Susceptibility, &["interpretation"]),
    (Risk::Allergies, &["AllergyIntolerance"]),
    (
        Risk::Drugs,
        &[
            "medicationCodeableConcept",
            "Medication.code",
            "vaccineCode",
        ],
    ),
];

impl Risk {
    /// What the name of a table's file says.
    #[must_use]
    pub fn of_name(file: &str) -> Option<Self> {
        let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
        let name = name.strip_suffix(".csv").unwrap_or(name).to_lowercase();
        let joined: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
        if ["bloodgroup", "bloodtype", "bloodbank"]
            .iter()
            .any(|word| joined.contains(word))
        {
            return Some(Self::BloodGroup);
        }
        let mut words = name.split(|c: char| !c.is_alphanumeric());
        words.find_map(|word| among(WORDS, |known| known == word))
    }

    /// What the field says that a table is used on, such as `OBX-6`.
    #[must_use]
    pub fn of_field(path: &str) -> Option<Self> {
        let path = &without_indexes(path);
        let fields = among(FIELDS, |known| {
            path.match_indices(known).any(|(at, _)| {
                let rest = path.get(at + known.len()..).unwrap_or_default();
                let before = path.get(..at).unwrap_or_default();
                !rest.starts_with(|c: char| c.is_ascii_digit())
                    && !before.ends_with(|c: char| c.is_ascii_alphanumeric())
            })
        });
        fields.or_else(|| among(ELEMENTS, |known| path.contains(known)))
    }

    /// What a code system of a row says.
    #[must_use]
    pub fn of_system(system: &str) -> Option<Self> {
        if system.is_empty() {
            return None;
        }
        let system = system.to_ascii_lowercase();
        among(SYSTEMS, |known| known == system)
    }
}

/// `OBX[2]-6[1]` is `OBX-6` as far as its meaning goes.
fn without_indexes(path: &str) -> String {
    let mut inside = false;
    path.chars()
        .filter(|c| {
            let was = inside;
            inside = (inside || *c == '[') && *c != ']';
            !(was || inside)
        })
        .collect()
}

fn among(list: &[(Risk, &[&str])], fits: impl Fn(&str) -> bool) -> Option<Risk> {
    list.iter()
        .find(|(_, known)| known.iter().any(|known| fits(known)))
        .map(|(risk, _)| *risk)
}

/// One person alone stands behind a row: whoever approved it also made and reviewed it, or nobody
/// else is named. Names are compared without regard to case, and a program (`hilum`, which suggests
/// rows) is no person.
#[must_use]
pub fn alone(author: &str, reviewer: &str, approver: &str) -> bool {
    let same = |name: &str| name.trim().to_lowercase() == approver.trim().to_lowercase();
    let person = |name: &str| !name.trim().is_empty() && !name.trim().eq_ignore_ascii_case("hilum");
    let other = |name: &str| person(name) && !same(name);
    !person(approver) || !(other(author) || other(reviewer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_known_by_name_field_or_system() {
        let by_name = [
            ("tables/blood-groups.csv", Some(Risk::BloodGroup)),
            ("tables/lab/ABO_to_snomed.csv", Some(Risk::BloodGroup)),
            ("tables/antibiogram.csv", Some(Risk::Susceptibility)),
            ("tables/units.csv", Some(Risk::Units)),
            ("tables/local-to-loinc.csv", None),
            ("blood/sex.csv", None),
            ("tables/united.csv", None),
            ("tables/blood-pressure.csv", None),
        ];
        for (name, expected) in by_name {
            assert_eq!(Risk::of_name(name), expected, "{name}");
        }
        let by_field = [
            ("OBX-6", Some(Risk::Units)),
            ("OBX[2]-3", None),
            ("OBX-6.1", Some(Risk::Units)),
            ("OBX-61", None),
            ("OBX[2]-6[1].1", Some(Risk::Units)),
            ("PATIENT_RESULT/OBX-8", Some(Risk::Susceptibility)),
            ("AL1-3", Some(Risk::Allergies)),
            ("RXE-2.1", Some(Risk::Drugs)),
            ("Observation.valueQuantity.code", Some(Risk::Units)),
            ("OBX-3", None),
        ];
        for (field, expected) in by_field {
            assert_eq!(Risk::of_field(field), expected, "{field}");
        }
        assert_eq!(
            Risk::of_system("http://unitsofmeasure.org"),
            Some(Risk::Units)
        );
        assert_eq!(Risk::of_system("RXNORM"), Some(Risk::Drugs));
        assert_eq!((Risk::of_system("LN"), Risk::of_system("")), (None, None));
    }

    #[test]
    fn two_different_people_are_needed() {
        assert!(alone("ann", "", "ann") && alone("ann", "Ann ", "ANN"));
        assert!(alone("hilum", "ann", "ann") && alone("ann", "", "Hilum"));
        assert!(alone("", "", "ann") && alone("ann", "bob", ""));
        assert!(
            !alone("ann", "", "bob") && !alone("ann", "bob", "ann") && !alone("", "bob", "ann")
        );
    }
}
