//! A transaction for a store of this node says when what it holds was so, and what it deletes.

use hilum_convert::{Arrived, BundleType, FixedZone, Maps, Settings, to_fhir};
use hilum_hl7v2::Message;
use serde_json::Value;

use crate::kit::as_json;

fn bundle(text: &str, as_of: bool, kind: BundleType) -> Value {
    declared(text, as_of, kind, &[])
}

fn declared(text: &str, as_of: bool, kind: BundleType, snapshots: &[(&str, &[&str])]) -> Value {
    converted(text, kind, snapshots, |settings| settings.as_of = as_of)
}

fn converted(
    text: &str,
    kind: BundleType,
    snapshots: &[(&str, &[&str])],
    tune: impl FnOnce(&mut Settings),
) -> Value {
    let types = |types: &[&str]| types.iter().map(|of| (*of).to_owned()).collect();
    let snapshots = snapshots.iter();
    let mut settings = Settings {
        snapshots: snapshots
            .map(|(list, empty_in)| ((*list).to_owned(), types(empty_in)))
            .collect(),
        zone: Some(std::sync::Arc::new(FixedZone(0))),
        bundle: kind,
        ..Settings::default()
    };
    tune(&mut settings);
    let arrived = Arrived {
        id: "00000000-0000-4000-8000-000000000001",
        at: "1970-01-01T00:00:09.000Z",
    };
    let message = Message::parse(text.replace('\n', "\r")).unwrap();
    as_json(&to_fhir(Maps::shipped().unwrap(), &message, &settings, &arrived).bundle)
}

/// The text of an extension.
fn said<'v>(of: &'v Value, url: &str) -> Option<&'v str> {
    let all = of["extension"].as_array()?.iter();
    all.filter(|one| one["url"] == url)
        .find_map(|one| one["valueString"].as_str())
}

fn request<'v>(bundle: &'v Value, name: &str) -> &'v Value {
    let all = bundle["entry"].as_array().unwrap().iter();
    let mut found = all.filter(|entry| entry["resource"]["resourceType"] == name);
    &found.next_back().unwrap()["request"]
}

const ADT: &str = "MSH|^~\\&|A|B|||19700101000005||ADT^A08^ADT_A01|1|P|2.5.1|7\n\
    EVN|A08|19700101000003\n\
    PID|1||1^^^B||AMES^BEA||\"\"|F|||\"\"||\"\"|||\"\"\n\
    PV1||I|W^1^1||||||||||||||||9^^^B||||||||||||||||||||||||||\"\"\n";

#[test]
fn events_are_as_of_when_they_happened() {
    let bundle = bundle(ADT, true, BundleType::Transaction);
    let all = said(&bundle["meta"], "urn:hilum:as-of");
    assert_eq!(all, Some("3000 5000 7"));
    assert_eq!(said(request(&bundle, "Patient"), "urn:hilum:as-of"), None);
}

#[test]
fn a_field_deletes_what_no_other_field_says() {
    let bundle = bundle(ADT, true, BundleType::Transaction);
    let deletes = said(request(&bundle, "Patient"), "urn:hilum:deletes").unwrap();
    let deletes: Vec<&str> = deletes.split(' ').collect();
    assert!(
        deletes.contains(&"birthDate") && deletes.contains(&"address"),
        "{deletes:?}"
    );
    // PID-14 is absent, and absence deletes nothing.
    assert!(deletes.contains(&"telecom[home]"), "{deletes:?}");
    let others = ["telecom", "telecom[work]"];
    assert!(
        !others.iter().any(|other| deletes.contains(other)),
        "{deletes:?}"
    );
    let of_visit = said(request(&bundle, "Encounter"), "urn:hilum:deletes");
    assert_eq!(of_visit, Some("period.end"));
}

#[test]
fn a_cancelled_discharge_takes_its_end_back() {
    let cancelled = ADT.replace("A08", "A13").replace("\"\"", "");
    let bundle = bundle(&cancelled, true, BundleType::Transaction);
    let deletes = said(request(&bundle, "Encounter"), "urn:hilum:deletes");
    assert_eq!(
        deletes,
        Some("hospitalization.dischargeDisposition period.end")
    );
}

#[test]
fn unlinking_deletes_the_links() {
    let text = "MSH|^~\\&|A|B|||19700101000005||ADT^A37^ADT_A37|1|P|2.5.1\n\
        EVN|A37|19700101000003\nPID|1||1^^^B||AMES^BEA\nPID|2||2^^^B||AMES^BEA\n";
    let bundle = bundle(text, true, BundleType::Transaction);
    let deletes = said(request(&bundle, "Patient"), "urn:hilum:deletes");
    assert_eq!(deletes, Some("link"));
}

#[test]
fn a_deleted_person_is_not_active_until_a_registration_says_so() {
    let text = "MSH|^~\\&|A|B|||19700101000005||ADT^A29^ADT_A21|1|P|2.5.1\n\
        EVN|A29|19700101000003\nPID|1||1^^^B||AMES^BEA\nPV1||N\n";
    let deletes = |event: &str| {
        let bundle = bundle(&text.replace("A29", event), true, BundleType::Transaction);
        let all = bundle["entry"].as_array().unwrap().iter();
        let mut all = all.map(|entry| &entry["resource"]);
        let patient = all.find(|one| one["resourceType"] == "Patient").unwrap();
        let said = said(request(&bundle, "Patient"), "urn:hilum:deletes");
        (patient["active"].as_bool(), said.map(str::to_owned))
    };
    assert_eq!(deletes("A29"), (Some(false), None));
    for event in ["A01", "A04", "A05", "A08", "A28", "A31"] {
        assert_eq!(deletes(event), (None, Some("active".to_owned())), "{event}");
    }
}

#[test]
fn results_are_as_of_their_report_and_orders_as_of_their_event() {
    let text = "MSH|^~\\&|L|B|||19700101000005||ORU^R01^ORU_R01|1|P|2.5.1\n\
        PID|1||1^^^B||AMES^BEA\n\
        ORC|RE|1^B|2^L||||||19700101000001\n\
        OBR|1|1^B|2^L|X^Y^L||||||||||||||||||19700101000004\n\
        OBX|1|NM|K^K^L||4|mmol/L|||||F\n";
    let bundle = bundle(text, true, BundleType::Transaction);
    assert_eq!(
        said(&bundle["meta"], "urn:hilum:as-of"),
        Some("5000 5000 9000")
    );
    for (name, expected) in [
        ("Observation", Some("4000 5000 9000")),
        ("DiagnosticReport", Some("4000 5000 9000")),
        ("ServiceRequest", Some("1000 5000 9000")),
        ("Patient", None),
    ] {
        let found = said(request(&bundle, name), "urn:hilum:as-of");
        assert_eq!(found, expected, "{name}");
    }
    let unsent = text.replace("19700101000005", "");
    let bundle = self::bundle(&unsent, true, BundleType::Transaction);
    assert_eq!(
        said(&bundle["meta"], "urn:hilum:as-of"),
        Some("9000 9000 9000")
    );
}

#[test]
fn nobody_else_is_told() {
    for (as_of, kind) in [
        (false, BundleType::Transaction),
        (true, BundleType::Message),
        (true, BundleType::Collection),
    ] {
        let text = bundle(ADT, as_of, kind).to_string();
        assert!(!text.contains("urn:hilum:as-of") && !text.contains("urn:hilum:deletes"));
    }
}

#[test]
fn a_list_deletes_what_it_lacks_only_where_that_is_declared() {
    let deletes = |text: &str, snapshots: &[(&str, &[&str])]| {
        let bundle = declared(text, true, BundleType::Transaction, snapshots);
        let found = said(request(&bundle, "Patient"), "urn:hilum:deletes");
        found.unwrap_or_default().to_owned()
    };
    let plain = ADT.replace("\"\"", "");
    let kin = format!("{plain}NK1|1|AMES^BO|SPO\n");
    for (text, snapshots, expected) in [
        (&plain, &[][..], "active"),
        (&kin, &[], "active"),
        (&kin, &[("NK1", &[][..])], "active contact"),
        (&plain, &[("NK1", &[])], "active"),
        (&plain, &[("NK1", &["ADT^A31"])], "active"),
        (
            &plain,
            &[("NK1", &["ADT^A31", "ADT^A08"])],
            "active contact",
        ),
    ] {
        assert_eq!(deletes(text, snapshots), expected, "{snapshots:?}");
    }
}

/// The extensions of the requests of a type of resource.
fn all_said(bundle: &Value, name: &str, url: &str) -> Vec<String> {
    let all = bundle["entry"].as_array().unwrap().iter();
    let found = all.filter(|entry| entry["resource"]["resourceType"] == name);
    let said = found.map(|entry| said(&entry["request"], url).unwrap_or_default().to_owned());
    said.collect()
}

const MERGE: &str = "MSH|^~\\&|A|B|||19700101000005||ADT^A40^ADT_A39|1|P|2.5.1\n\
    EVN|A40|19700101000003\nPID|||1^^^B\nMRG|2^^^B\n";

#[test]
fn a_merge_that_is_taken_back_says_which_elements_are_no_more() {
    let taken_back = |text: &str| {
        converted(text, BundleType::Transaction, &[], |settings| {
            settings.as_of = true;
            settings.taken_back = true;
        })
    };
    let url = "urn:hilum:takes-back";
    let merged = bundle(MERGE, true, BundleType::Transaction);
    assert_eq!(all_said(&merged, "Patient", url), ["", ""]);
    let back = taken_back(MERGE);
    assert_eq!(all_said(&back, "Patient", url), ["link active"; 2]);
    let visits = "MSH|^~\\&|A|B|||19700101000005||ADT^A42^ADT_A39|1|P|2.5.1\n\
        EVN|A42|19700101000003\nPID|||1^^^B\nMRG|1^^^B||||8^^^B\nPV1||I|||||||||||||||||9^^^B\n";
    let back = taken_back(visits);
    assert_eq!(all_said(&back, "Encounter", url), ["partOf extension"; 2]);
    let former = back["entry"]
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["resource"]["extension"][0]["url"] == "urn:hilum:merged-into");
    let former = &former.unwrap()["resource"];
    let into = &former["extension"][0]["valueReference"]["reference"];
    assert_eq!(*into, former["partOf"]["reference"]);
}

#[test]
fn a_visit_that_is_moved_says_so() {
    let text = "MSH|^~\\&|A|B|||19700101000005||ADT^A45^ADT_A45|1|P|2.5.1\n\
        EVN|A45|19700101000003\nPID|||1^^^B\nMRG|2^^^B||||9^^^B\nPV1||I|||||||||||||||||9^^^B\n";
    let moved = bundle(text, true, BundleType::Transaction);
    assert_eq!(
        all_said(&moved, "Encounter", "urn:hilum:moves"),
        ["subject"]
    );
    let changed = bundle(ADT, true, BundleType::Transaction);
    assert_eq!(all_said(&changed, "Encounter", "urn:hilum:moves"), [""]);
}

#[test]
fn a_list_that_is_all_there_is_is_named_with_what_is_in_it() {
    const WHOLE: &str = "urn:hilum:whole";
    const LISTED: &str = "urn:hilum:listed";
    let lists = |text: &str, snapshots: &[(&str, &[&str])], system: &str| {
        converted(text, BundleType::Transaction, snapshots, |settings| {
            settings.as_of = true;
            system.clone_into(&mut settings.system);
        })
    };
    let plain = ADT.replace("\"\"", "");
    let text = format!(
        "{plain}OBX|1|NM|W^W^L||70|kg|||||F\nAL1|1|DA|PEN^Penicillin^L\nDG1|1||J10^Flu^L||\n\
         PR1|1||OP^Op^L||19700101\n"
    );
    let all: [(&str, &[&str]); 4] = [("AL1", &[]), ("OBX", &[]), ("DG1", &[]), ("PR1", &[])];
    let bundle = lists(&text, &all, "pas");
    let of = |name: &str, url: &str| all_said(&bundle, name, url).concat();
    assert_eq!(of("Patient", WHOLE), of("AllergyIntolerance", LISTED));
    assert!(of("Patient", WHOLE).starts_with("AllergyIntolerance@"));
    let visit = ["Condition", "Procedure", "Observation"].map(|name| of(name, LISTED));
    assert_eq!(of("Encounter", WHOLE), visit.join(" "));
    // Another system, another visit: another list.
    let other = lists(&text, &all, "lab");
    assert_ne!(
        all_said(&other, "Patient", WHOLE).concat(),
        of("Patient", WHOLE)
    );
    let other = lists(&text.replace("|9^^^B|", "|10^^^B|"), &all, "pas");
    assert_ne!(
        all_said(&other, "Encounter", WHOLE).concat(),
        of("Encounter", WHOLE)
    );
    assert_eq!(
        all_said(&other, "Patient", WHOLE).concat(),
        of("Patient", WHOLE)
    );
    // A list that is absent says nothing, unless it is declared that there it is empty.
    assert_eq!(
        all_said(&lists(&plain, &all, "pas"), "Patient", WHOLE),
        [""]
    );
    let empty: [(&str, &[&str]); 1] = [("AL1", &["ADT^A08"])];
    let bundle = lists(&plain, &empty, "pas");
    assert_eq!(
        all_said(&bundle, "Patient", WHOLE).concat(),
        of("Patient", WHOLE)
    );
    // Undeclared it is a list, and ends nothing.
    let undeclared = lists(&text, &[], "pas");
    assert!(!undeclared.to_string().contains(WHOLE), "{undeclared}");
    let of_undeclared = all_said(&undeclared, "AllergyIntolerance", LISTED).concat();
    assert_eq!(of_undeclared, of("AllergyIntolerance", LISTED));
    // A laboratory has no lists of a patient.
    let oru = text.replace("ADT^A08^ADT_A01", "ORU^R01^ORU_R01");
    let text = lists(&oru, &all, "pas").to_string();
    assert!(!text.contains(WHOLE) && !text.contains(LISTED), "{text}");
}

#[test]
fn a_list_that_is_deleted_is_all_there_is_and_makes_nothing() {
    const WHOLE: &str = "urn:hilum:whole";
    const LISTED: &str = "urn:hilum:listed";
    let convert = |lists: &str| {
        let text = format!("{}{lists}", ADT.replace("\"\"", ""));
        bundle(&text, true, BundleType::Transaction)
    };
    let some = convert("AL1|1|DA|PEN^Penicillin^L\nNK1|1|DOE^JIM\nDG1|1||J10^Flu^L\n");
    assert!(!some.to_string().contains(WHOLE), "{some}");
    let deleted = convert("AL1|1||\"\"\nNK1|1|\"\"\nDG1|1||\"\"\nDG1|2||I10^High^L\n");
    let of = |bundle: &Value, name: &str, url: &str| all_said(bundle, name, url).concat();
    for (owner, types) in [
        ("Patient", &["AllergyIntolerance", "RelatedPerson"][..]),
        ("Encounter", &["Condition"]),
    ] {
        let listed: Vec<_> = types.iter().map(|name| of(&some, name, LISTED)).collect();
        assert_eq!(of(&deleted, owner, WHOLE), listed.join(" "));
    }
    assert!(of(&deleted, "Patient", "urn:hilum:deletes").contains("contact"));
    let entries = deleted["entry"].as_array().unwrap();
    let made = |name: &str| {
        let all = entries
            .iter()
            .map(|entry| &entry["resource"]["resourceType"]);
        all.filter(|ty| *ty == name).count()
    };
    let types = ["AllergyIntolerance", "RelatedPerson", "Condition"];
    assert_eq!(types.map(made), [0, 0, 1]);
    assert_eq!(
        of(&deleted, "Condition", LISTED),
        of(&some, "Condition", LISTED)
    );
}

#[test]
fn what_an_action_code_deletes_is_a_mistake_or_cancelled() {
    let plain = ADT.replace("\"\"", "");
    let bare = |segment: &str, field: usize| format!("{segment}{}D", "|".repeat(field));
    let text = format!(
        "{plain}{}\n{}\n{}\n",
        bare("DG1|1||J10^Flu^L", 21 - 3),
        bare("PR1|1||OP^Op^L||19700101", 20 - 5),
        bare("IN1|1|P1^Plan|C1", 55 - 3),
    );
    let bundle = bundle(&text, true, BundleType::Transaction);
    let of = |name: &str| {
        let all = bundle["entry"].as_array().unwrap().iter();
        let mut found = all.map(|entry| &entry["resource"]);
        found.find(|one| one["resourceType"] == name).unwrap()
    };
    assert_eq!(
        of("Condition")["verificationStatus"]["coding"][0]["code"],
        "entered-in-error"
    );
    assert_eq!(of("Procedure")["status"], "entered-in-error");
    assert_eq!(of("Coverage")["status"], "cancelled");
}

#[test]
fn an_account_that_is_moved_says_so() {
    let text = "MSH|^~\\&|A|B|||19700101000005||ADT^A44^ADT_A43|1|P|2.5.1\n\
        EVN|A44|19700101000003\nPID|||1^^^B|||||||||||||||PID-18\nMRG|2^^^B||7^^^B\n";
    for (account, expected) in [("", 1), ("7^^^B", 1), ("8^^^B", 2)] {
        let bundle = bundle(
            &text.replace("PID-18", account),
            true,
            BundleType::Transaction,
        );
        let said = all_said(&bundle, "Account", "urn:hilum:moves");
        assert_eq!(said, vec!["subject"; expected], "{account}");
        let all = bundle["entry"].as_array().unwrap().iter();
        let all = all.map(|entry| &entry["resource"]);
        let (mut accounts, mut patients) = (Vec::new(), Vec::new());
        for one in all {
            match one["resourceType"].as_str() {
                Some("Account") => accounts.push(&one["subject"][0]["reference"]),
                Some("Patient") => patients.push(one),
                _ => {}
            }
        }
        assert!(
            accounts
                .iter()
                .all(|of| of.is_string() && *of == accounts[0]),
            "{bundle}"
        );
        assert_eq!(patients.len(), 1);
    }
}

#[test]
fn an_account_that_is_moved_under_another_number_is_linked_with_that_and_taken_back() {
    let text = "MSH|^~\\&|A|B|||19700101000005||ADT^A44^ADT_A43|1|P|2.5.1\n\
        EVN|A44|19700101000003\nPID|||1^^^B|||||||||||||||8^^^B\nMRG|2^^^B||7^^^B\n";
    let accounts = |bundle: &Value| -> Vec<Value> {
        let all = bundle["entry"].as_array().unwrap().iter();
        let accounts = all.filter(|entry| entry["resource"]["resourceType"] == "Account");
        let mut accounts: Vec<_> = accounts.cloned().collect();
        accounts.sort_by_key(|one| one["resource"]["identifier"][0]["value"].to_string());
        accounts
    };
    let moved = accounts(&bundle(text, true, BundleType::Transaction));
    let [former, now] = &moved[..] else {
        panic!("{moved:?}");
    };
    assert_eq!(former["resource"]["status"], "inactive");
    assert_eq!(former["resource"]["partOf"]["reference"], now["fullUrl"]);
    let back = converted(text, BundleType::Transaction, &[], |settings| {
        settings.as_of = true;
        settings.taken_back = true;
    });
    let back = accounts(&back);
    let [former, now] = &back[..] else {
        panic!("{back:?}");
    };
    assert_eq!(former["resource"]["status"], "active");
    assert!(former["resource"]["subject"].is_array(), "{former}");
    let said = |one: &Value, url| said(&one["request"], url).map(str::to_owned);
    assert_eq!(said(former, "urn:hilum:moves").as_deref(), Some("subject"));
    assert_eq!(
        said(former, "urn:hilum:takes-back").as_deref(),
        Some("partOf")
    );
    // Whose the other one is this message does not say.
    assert!(now["resource"]["subject"].is_null(), "{now}");
    assert_eq!(said(now, "urn:hilum:moves"), None);
}

/// The values of the identifiers of the patients of a Bundle, and whether each has a link.
fn numbers(bundle: &Value) -> Vec<(Vec<String>, bool)> {
    let all = bundle["entry"].as_array().unwrap().iter();
    let patients = all.map(|entry| &entry["resource"]);
    let patients = patients.filter(|one| one["resourceType"] == "Patient");
    let each = patients.map(|one| {
        let numbers = one["identifier"].as_array().into_iter().flatten();
        let plain = numbers.filter(|one| one["system"] != "urn:hilum:derived");
        let values = plain.map(|one| one["value"].as_str().unwrap().to_owned());
        (values.collect(), one["link"].is_array())
    });
    let mut each: Vec<_> = each.collect();
    each.sort();
    each
}

#[test]
fn a_number_that_is_moved_is_replaced_by_the_patient_whose_it_is() {
    let text = "MSH|^~\\&|A|B|||19700101000005||ADT^A43^ADT_A43|1|P|2.5.1\n\
        EVN|A43|19700101000003\nPID|||PID-3\nMRG|MRG-1\n";
    let linked = |all: &[&[&str]]| -> Vec<(Vec<String>, bool)> {
        let texts = |one: &&[&str]| one.iter().map(|text| (*text).to_owned()).collect();
        all.iter().map(|one| (texts(one), true)).collect()
    };
    for (pid, mrg, expected) in [
        ("1^^^B", "2^^^B", linked(&[&["1"], &["2"]])),
        ("1^^^B", "2^^^B~4^^^B", linked(&[&["1"], &["2", "4"]])),
        // What stands on both sides is moved, and neither side gets a number of the other.
        ("3^^^B~1^^^B", "1^^^B~2^^^B", linked(&[&["1"], &["3"]])),
        ("1^^^B~3^^^B", "1^^^B", linked(&[&["1"], &["3"]])),
        // The number stays what it is.
        ("1^^^B", "1^^^B", vec![(vec!["1".to_owned()], false)]),
        ("1^^^B", "1", vec![(vec!["1".to_owned()], false)]),
        ("1^^^B", "1^^^B~2^^^B", vec![(vec!["1".to_owned()], false)]),
    ] {
        let text = text.replace("PID-3", pid).replace("MRG-1", mrg);
        let bundle = bundle(&text, true, BundleType::Transaction);
        assert_eq!(numbers(&bundle), expected, "{pid} {mrg}");
        let moves = all_said(&bundle, "Patient", "urn:hilum:moves").concat();
        assert_eq!(moves, "identifier", "{pid} {mrg}");
    }
}

#[test]
fn a_store_is_told_all_the_numbers_that_are_given_up() {
    const SHOWN: &str = "urn:hilum:replaces";
    for (event, pid, mrg, former, expected) in [
        ("A40", "1^^^B", "2^^^B", &["2"][..], &["2"][..]),
        ("A40", "1^^^B", "2^^^B~3^^^C", &["2", "3"], &["2", "3"]),
        // A number that names nobody is the former patient's, and says not who is meant.
        (
            "A18",
            "1^^^B",
            "77^^^^SS~2^^^B^MR~78^^^^DL",
            &["77", "2", "78"],
            &["2"],
        ),
        ("A40", "1^^^B", "77^^^S^SS", &["77"], &["77"]),
        // One that whoever stays has as well is theirs.
        ("A34", "1^^^B~3^^^B", "3^^^B~2^^^B", &["2"], &["2"]),
        ("A40", "1^^^B", "1^^^B~2^^^B", &["2"], &["2"]),
        ("A40", "2^^^B~1^^^B", "1^^^B", &[], &["1"]),
        ("A40", "1^^^B~2^^^C", "2^^^C~1^^^B", &[], &[]),
        ("A40", "1^^^B", "1^^^B", &[], &[]),
        ("A47", "1^^^B~3^^^C", "1^^^B~2^^^C", &[], &["2"]),
        ("A47", "1^^^B", "2^^^B~3^^^B", &["2", "3"], &["2", "3"]),
        // Without an authority it is a number of the sender.
        ("A40", "1^^^B", "2~3", &["2", "3"], &["B|2", "B|3"]),
    ] {
        let text = MERGE
            .replace("A40^ADT_A39", &format!("{event}^ADT_A39"))
            .replace("PID|||1^^^B", &format!("PID|||{pid}"))
            .replace("MRG|2^^^B", &format!("MRG|{mrg}"));
        let bundle = bundle(&text, true, BundleType::Transaction);
        let stays: Vec<&str> = pid
            .split('~')
            .map(|one| one.split('^').next().unwrap())
            .collect();
        let mut found = numbers(&bundle);
        found.retain(|(own, _)| *own != stays);
        let own: Vec<_> = found.iter().flat_map(|(own, _)| own).collect();
        assert_eq!(own, former, "{event} {pid} {mrg}");
        let said = all_said(&bundle, "Patient", SHOWN).concat();
        let values: Vec<String> = said
            .split_whitespace()
            .map(|one| one.split_once('|').unwrap().1.replace("%7C", "|"))
            .collect();
        assert_eq!(values, expected, "{event} {pid} {mrg}");
    }
    // Several groups, and a server elsewhere.
    let groups = format!("{MERGE}PID|||5^^^B\nMRG|6^^^B~7^^^B\n");
    let said = all_said(
        &bundle(&groups, true, BundleType::Transaction),
        "Patient",
        SHOWN,
    );
    let said: Vec<_> = said.iter().filter(|text| !text.is_empty()).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    let plain = bundle(&groups, false, BundleType::Transaction);
    assert!(!plain.to_string().contains(SHOWN));
}

#[test]
fn a_patient_does_not_keep_the_number_of_the_person_with_whom_it_was() {
    let text = "MSH|^~\\&|A|B|||19700101000005||ADT^A43^ADT_A43|1|P|2.5.1\n\
        EVN|A43|19700101000003\nPID||E2|PID-3\nMRG|1^^^B|||E1^^^C\n";
    let url = "urn:hilum:gives-up";
    for (pid, expected) in [
        ("1^^^B", ["1", "E2"].as_slice()),
        ("3^^^B", ["1", "3", "E2"].as_slice()),
    ] {
        let text = text.replace("PID-3", pid);
        let bundle = bundle(&text, true, BundleType::Transaction);
        let said = all_said(&bundle, "Patient", url).concat();
        assert!(said.ends_with("|E1"), "{pid}: {said}");
        let all: Vec<_> = numbers(&bundle)
            .into_iter()
            .flat_map(|(all, _)| all)
            .collect();
        let mut all: Vec<_> = all.iter().map(String::as_str).collect();
        all.sort_unstable();
        assert_eq!(all, expected, "{pid}");
    }
    // Taken back, it has that number again.
    let back = converted(
        &text.replace("PID-3", "3^^^B"),
        BundleType::Transaction,
        &[],
        |settings| {
            settings.as_of = true;
            settings.taken_back = true;
        },
    );
    assert_eq!(all_said(&back, "Patient", url).concat(), "");
    let found = numbers(&back)
        .into_iter()
        .any(|(all, _)| all == ["1", "E1"]);
    assert!(found, "{back}");
}
