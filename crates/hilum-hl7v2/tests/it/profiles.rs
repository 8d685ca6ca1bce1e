//! Conformance profiles with the messages that came with them.

use std::collections::BTreeMap;
use std::path::Path;

use hilum_hl7v2::Message;
use hilum_hl7v2::profile::{Profile, ProfileFiles};
use hilum_hl7v2::validate::Severity;

use crate::shared::shared;

fn profile(folder: &Path) -> Profile {
    let read = |name: &str| std::fs::read(folder.join(name)).ok();
    let main = read("PROFILE.xml").unwrap();
    let [constraints, value_sets, bindings, co_constraints, slicings] = [
        "CONSTRAINTS.xml",
        "VALUESETS.xml",
        "VALUESETBINDINGS.xml",
        "COCONSTRAINTS.xml",
        "SLICINGS.xml",
    ]
    .map(read);
    let files = ProfileFiles {
        profile: &main,
        constraints: constraints.as_deref(),
        value_sets: value_sets.as_deref(),
        bindings: bindings.as_deref(),
        co_constraints: co_constraints.as_deref(),
        slicings: slicings.as_deref(),
    };
    Profile::load(&files).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
}

/// Errors by rule, or by the profile's own name for the rule, with how often each was found.
fn errors(profile: &Profile, file: &Path) -> String {
    let message = Message::parse(std::fs::read(file).unwrap()).unwrap();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for found in profile.validate(&message) {
        if found.severity == Severity::Error {
            let name = found
                .id
                .unwrap_or_else(|| format!("{} {}", found.rule.as_str(), found.path));
            *counts.entry(name).or_default() += 1;
        }
    }
    let lines = counts.iter().map(|(name, count)| format!("{count} {name}"));
    lines.collect::<Vec<_>>().join("; ")
}

#[test]
fn messages_of_the_profiles_behave_as_their_names_say() {
    let Some(shared) = shared("profiles and their messages") else {
        return;
    };
    let root = shared.join("samples/hl7v2-profiles/cdc-nist");
    let check = |folder: &str, name: &str, expected: &str| {
        let profile = profile(&root.join("profiles").join(folder));
        let found = errors(&profile, &root.join("messages").join(name));
        assert_eq!(found, expected, "{folder} {name}");
    };
    check("CELR-2.5.1", "covidELR/DC v25 HL7 good1.txt", "");
    check("AIMS-CELR-2.5.1", "covidELR/DC v25 HL7 good1.txt", "");
    check(
        "CELR-2.5.1",
        "structure-validator/covid-moved/COVIDELR_v251_HL7_good.txt",
        "",
    );
    check("CELR-2.5.1", "structure-validator/COVID19_ELR_01.hl7", "");
    check("CELR-2.3.1", "covidELR/ND 23z Valid#1.txt", "");
    check("CELR-2.3.1", "covidELR/231HL7TestFilewithHHSData.txt", "");
    // Called valid by its authors, who look at top-level components only: an authority without id.
    check(
        "CELR-2.3.1",
        "covidELR/MI v23 Valid#2.txt",
        "1 component-missing ORC-21.6.2; 1 component-missing ORC-21.6.3",
    );
    check(
        "NNDSS-NOTF_ORU_V3.2",
        "structure-validator/Lyme_WithBadDelimiters.txt",
        "1 structure-unknown MSH-9",
    );
}

#[test]
fn messages_of_an_older_profile_break_what_the_newer_one_added() {
    let Some(shared) = shared("case notifications") else {
        return;
    };
    let root = shared.join("samples/hl7v2-profiles/cdc-nist");
    let profile = profile(&root.join("profiles/NNDSS-NOTF_ORU_V3.2"));
    let check = |name: &str, expected: &[&str]| {
        let found = errors(
            &profile,
            &root.join("messages/structure-validator").join(name),
        );
        for part in expected {
            assert!(found.contains(part), "{name}: {part} in {found}");
        }
        assert_eq!(
            found.contains("-missing PATIENT"),
            name.contains("StructureErrors"),
            "{found}"
        );
    };
    // The date of OBX-5 is 29 February of a year that has none.
    check(
        "Lyme_HappyPath.txt",
        &[
            "1 CN-009",
            "data-type OBX[39]-5",
            "component-missing OBX[7]-5.3",
        ],
    );
    check("Lyme_WithWarnings.txt", &["1 CN-009", "length PID-3.1"]);
    check(
        "GenV1_withStructureErrors.txt",
        &[
            "group-missing PATIENT_RESULT/ORDER_OBSERVATION[1]/OBSERVATION",
            "component-missing MSH-5.2",
            "length MSH-10",
            "1 CN-008",
            "1 CN-014-1",
        ],
    );
}

#[test]
fn every_profile_is_read_and_says_what_it_cannot_check() {
    let Some(shared) = shared("every profile") else {
        return;
    };
    let folder = shared.join("samples/hl7v2-profiles/cdc-nist/profiles");
    let mut plugins = 0;
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let profile = profile(&entry.unwrap().path());
        assert!(
            profile
                .messages()
                .all(|(code, event, _)| (code, event) == ("ORU", "R01"))
        );
        plugins += profile
            .warnings()
            .iter()
            .filter(|text| text.contains("Plugin"))
            .count();
        let other = |text: &&String| !text.contains("Plugin") && !text.contains("not defined");
        assert_eq!(
            profile.warnings().iter().filter(other).count(),
            0,
            "{:?}",
            profile.warnings()
        );
        count += 1;
    }
    assert!(count >= 8 && plugins > 10, "{count} {plugins}");
}
