//! Releases become code systems, and errors name the file and the line.

use std::path::Path;
use std::sync::Arc;

use hilum_terminology::expand::Request as Expand;
use hilum_terminology::import::{Imported, Kind, Request, read};
use hilum_terminology::installed::{Folder, LoadError};
use hilum_terminology::table::Flags;
use hilum_terminology::{Engine, Options, System, Terminology, ValueSet};

use crate::releases::*;

fn import(kind: Kind, path: &Path, version: Option<&str>) -> Result<Imported, String> {
    let request = Request {
        kind,
        path,
        version,
        url: Some("http://example.org/local"),
    };
    read(&request, &mut |_| {}).map_err(|error| error.to_string())
}

fn system(imported: &Imported) -> Arc<System> {
    Arc::clone(&imported.systems[0])
}

fn display(system: &Arc<System>, code: &str) -> Option<String> {
    system.find(code)?.display().map(str::to_owned)
}

fn named(files: &[(String, String)]) -> Vec<(&str, String)> {
    files
        .iter()
        .map(|(name, text)| (&**name, text.clone()))
        .collect()
}

/// Loads and activates what was imported, and gives the definitions.
fn installed(data: &Path, kind: Kind, imported: &Imported) -> Terminology {
    let folder = Folder::of(data);
    let id = Folder::id(kind, "x", imported);
    folder
        .keep(&id, kind, imported, "f", "2026-01-01T00:00:00Z")
        .unwrap();
    folder.activate(&id).unwrap();
    let opened = folder.open().unwrap();
    assert!(opened.problems.is_empty(), "{:?}", opened.problems);
    Terminology::new(opened.sources())
}

fn codes(terminology: &Terminology, url: &str) -> Vec<String> {
    let set = terminology
        .value_set(url)
        .unwrap()
        .unwrap_or_else(|| panic!("{url}"));
    expanded(terminology, &set, &Expand::default())
}

fn expanded(terminology: &Terminology, set: &Arc<ValueSet>, request: &Expand) -> Vec<String> {
    let options = Options::default();
    let engine = Engine::new(terminology, &options);
    let found = engine.expand(set, request).unwrap();
    let mut codes: Vec<String> = Vec::new();
    let mut open: Vec<_> = found.contains.iter().collect();
    while let Some(entry) = open.pop() {
        codes.push(entry.code.to_string());
        open.extend(&entry.contains);
    }
    codes.sort();
    codes
}

#[test]
fn loinc_from_a_folder_and_from_a_zip_is_the_same() {
    let data = tempfile::tempdir().unwrap();
    let zipped = zip(&data.path().join("Loinc_2.78.zip"), &loinc());
    let unpacked = folder(&data.path().join("release"), &loinc());
    let from_zip = import(Kind::Loinc, &zipped, None).unwrap();
    let from_folder = import(Kind::Loinc, &unpacked, None).unwrap();
    let (one, other) = (system(&from_zip), system(&from_folder));
    assert_eq!(one.table(), other.table());
    // A folder without a telling name has the version of the newest term.
    assert_eq!(
        (one.version.as_deref(), other.version.as_deref()),
        (Some("2.78"), Some("2.78"))
    );
    assert_eq!(
        display(&one, "90001-9").unwrap(),
        "Unobtainium [Mass/volume], serum"
    );
    assert!(one.find("90003-5").unwrap().is_inactive());
    let table = one.table().unwrap();
    let at = table.find("90001-9").unwrap();
    let values: Vec<_> = table.property(at, "SYSTEM").map(|one| one.value).collect();
    assert_eq!(values, ["Ser/Plas"]);
    assert!(
        table
            .designations(at)
            .any(|name| name.language == Some("de-DE"))
    );
    assert!(table.is_above(table.find("LP90000-1").unwrap(), at));

    let all = installed(data.path(), Kind::Loinc, &from_zip);
    assert_eq!(
        codes(&all, "http://loinc.org/vs/LL9001-0"),
        ["LA9001-4", "LA9002-2"]
    );
    assert_eq!(
        codes(&all, "http://loinc.org/vs/LP90001-9"),
        ["90001-9", "90002-7", "LP90001-9"]
    );
}

#[test]
fn snomed_has_names_hierarchy_attributes_and_implicit_value_sets() {
    let data = tempfile::tempdir().unwrap();
    let files = rf2(300, "20260101");
    let path = zip(&data.path().join("SnomedCT_20260101.zip"), &named(&files));
    let imported = import(Kind::Snomed, &path, None).unwrap();
    let snomed = system(&imported);
    let version = "http://snomed.info/sct/900000000000207008/version/20260101";
    assert_eq!(snomed.version.as_deref(), Some(version));
    let seven = sctid(7).to_string();
    assert_eq!(
        display(&snomed, &seven).unwrap(),
        "Invented finding number 7"
    );
    let table = snomed.table().unwrap();
    assert_eq!(table.len(), 300);
    let at = table.find(&seven).unwrap();
    assert_eq!(table.designations(at).count(), 3);
    let preferred = table.designations(at).filter_map(|name| name.usage);
    assert!(
        preferred
            .into_iter()
            .any(|of| of.code == "preferredForLanguage")
    );
    let attribute: Vec<_> = table
        .property(at, "363698007")
        .map(|one| one.value)
        .collect();
    assert_eq!(attribute, [seven.as_str()]);
    let root = table.find(&ROOT.to_string()).unwrap();
    assert_eq!(table.below(root).count(), 299);
    assert!(
        table
            .flags(table.find(&sctid(299).to_string()).unwrap())
            .has(Flags::INACTIVE)
    );

    let all = installed(data.path(), Kind::Snomed, &imported);
    let (one, two) = (sctid(1), sctid(2));
    for (query, count) in [
        (format!("isa/{one}"), 111),
        ("refset/733073007".to_owned(), 3),
        (format!("ecl/%3C{one}"), 110),
        (format!("ecl/<<{one} %7CMade up%7C OR <<{two}"), 211),
        (format!("ecl/(<<{one} OR <<{two}) AND ^733073007"), 1),
        (format!("ecl/<<{one} MINUS <!{one}"), 101),
        (format!("ecl/>>{one}"), 2),
        (format!("ecl/>{one}"), 1),
    ] {
        let url = format!("http://snomed.info/sct?fhir_vs={query}");
        assert_eq!(codes(&all, &url).len(), count, "{query}");
    }
    let whole = format!("{version}?fhir_vs=isa/{one}");
    assert_eq!(codes(&all, &whole).len(), 111);
    for unknown in [
        "http://snomed.info/sct?fhir_vs=isa/1".to_owned(),
        format!("http://snomed.info/sct?fhir_vs=ecl/{one}:1=2"),
        "http://snomed.info/sct/1?fhir_vs".to_owned(),
    ] {
        assert!(all.value_set(&unknown).unwrap().is_none(), "{unknown}");
    }
}

#[test]
fn pages_and_text_of_a_large_hierarchy_are_asked_for_alone() {
    let data = tempfile::tempdir().unwrap();
    let path = folder(&data.path().join("r"), &named(&rf2(2_000, "20260101")));
    let imported = import(Kind::Snomed, &path, None).unwrap();
    let all = installed(data.path(), Kind::Snomed, &imported);
    let url = format!("http://snomed.info/sct?fhir_vs=isa/{ROOT}");
    let set = all.value_set(&url).unwrap().unwrap();
    let page = Expand {
        filter: Some("sign 1234".to_owned()),
        offset: Some(0),
        count: Some(10),
        ..Expand::default()
    };
    assert_eq!(expanded(&all, &set, &page), [sctid(1_234).to_string()]);
}

#[test]
fn rxnorm_takes_what_is_its_own() {
    let data = tempfile::tempdir().unwrap();
    let path = zip(&data.path().join("RxNorm_full_01052026.zip"), &rxnorm());
    let imported = import(Kind::Rxnorm, &path, None).unwrap();
    let rxnorm = system(&imported);
    assert_eq!(rxnorm.version.as_deref(), Some("01052026"));
    assert_eq!(
        display(&rxnorm, "9002").unwrap(),
        "phantasol 5 MG Oral Tablet"
    );
    assert!(rxnorm.find("9003").unwrap().is_inactive());
    let table = rxnorm.table().unwrap();
    let (tablet, base) = (table.find("9002").unwrap(), table.find("9001").unwrap());
    assert!(table.is_above(base, tablet));
    let told: Vec<_> = table
        .properties(tablet)
        .map(|one| (one.name, one.value))
        .collect();
    assert_eq!(
        told,
        [
            ("TTY", "SCD"),
            ("has_ingredient", "9001"),
            ("NDC", "00000900201")
        ]
    );
    assert_eq!(table.designations(tablet).count(), 1);
}

#[test]
fn icd_10_from_order_files_and_from_the_tabular_list() {
    let data = tempfile::tempdir().unwrap();
    let lines = [
        order_line(1, "Z90", false, "Loss of a thing", "Loss of a thing"),
        order_line(2, "Z901", true, "Loss small", "Loss of a small thing"),
        order_line(
            3,
            "Z91",
            true,
            "Chute d'une pièce",
            "Chute d'une pièce éthérée",
        ),
    ];
    let files = [("icd10cm_order_2025.txt", lines.concat())];
    let path = zip(&data.path().join("codes.zip"), &files);
    let imported = import(Kind::Icd10cm, &path, None).unwrap();
    let ordered = system(&imported);
    assert_eq!(ordered.version.as_deref(), Some("2025"));
    assert_eq!(display(&ordered, "z90.1").unwrap(), "Loss of a small thing");
    assert!(ordered.find("Z90").unwrap().is_abstract());
    assert_eq!(
        display(&ordered, "Z91").unwrap(),
        "Chute d'une pièce éthérée"
    );
    let table = ordered.table().unwrap();
    assert!(table.is_above(table.find("Z90").unwrap(), table.find("Z90.1").unwrap()));
    assert_eq!(table.parents(table.find("Z91").unwrap()).len(), 0);

    let path = folder(
        &data.path().join("t"),
        &[("icd10cm-tabular-2025.xml", TABULAR.to_owned())],
    );
    let tabular = system(&import(Kind::Icd10cm, &path, None).unwrap());
    assert_eq!(
        display(&tabular, "Z91.0XXA").unwrap(),
        "Fall of a cup, initial encounter"
    );
    assert_eq!(display(&tabular, "Z90-Z91").unwrap(), "Made up & found");
    let table = tabular.table().unwrap();
    let (chapter, code) = (table.find("chapter-23"), table.find("Z91.0XXD"));
    assert!(table.is_above(chapter.unwrap(), code.unwrap()));
    let lost = table.find("Z90").unwrap();
    assert!(
        table
            .designations(lost)
            .any(|name| name.value == "Thing lost")
    );

    let lines = [
        order_line(
            1,
            "0ZZ",
            false,
            "Invented, place",
            "Invented Procedures, Place",
        ),
        order_line(
            2,
            "0ZZ1234",
            true,
            "Short",
            "Move of a thing, open approach",
        ),
    ];
    let path = folder(
        &data.path().join("p"),
        &[("icd10pcs_order_2025.txt", lines.concat())],
    );
    let procedures = system(&import(Kind::Icd10pcs, &path, None).unwrap());
    assert_eq!(
        display(&procedures, "0ZZ1234").unwrap(),
        "Move of a thing, open approach"
    );

    let broken = lines.concat().replace("00002 0ZZ1234", "00002 0Z");
    let path = folder(
        &data.path().join("q"),
        &[("icd10pcs_order_2025.txt", broken)],
    );
    let error = import(Kind::Icd10pcs, &path, None).unwrap_err();
    assert!(
        error.starts_with("icd10pcs_order_2025.txt, line 2: number, code"),
        "{error}"
    );
}

#[test]
fn vaccines_and_their_makers_with_bars_and_as_xml() {
    let data = tempfile::tempdir().unwrap();
    let bars = "901 |phantasia|phantasia vaccine, live|made up|Active|False|2024/02/03\r\n\
        902 |nothing|nothing vaccine||Inactive|False|2025/12/31\r\n";
    let path = folder(&data.path().join("a"), &[("cvx.txt", bars.to_owned())]);
    let cvx = system(&import(Kind::Cvx, &path, None).unwrap());
    assert_eq!(cvx.version.as_deref(), Some("2025-12-31"));
    assert_eq!(display(&cvx, "901").unwrap(), "phantasia");
    assert!(cvx.find("902").unwrap().is_inactive());
    let xml = "<CVXCodes><CVXInfo><ShortDescription>phantasia</ShortDescription>\
        <FullVaccinename>phantasia &amp; more</FullVaccinename><CVXCode>901</CVXCode>\
        <Status>Active</Status><LastUpdated>2/3/2024</LastUpdated></CVXInfo></CVXCodes>";
    let path = folder(&data.path().join("b"), &[("cvx.xml", xml.to_owned())]);
    let cvx = system(&import(Kind::Cvx, &path, None).unwrap());
    assert_eq!(cvx.version.as_deref(), Some("2024-02-03"));
    assert_eq!(
        cvx.find("901").unwrap().definition(),
        Some("phantasia & more")
    );
    let bars = "ABC |Invented Vaccines, Inc.|made up|Active|2024/02/03\n";
    let path = folder(&data.path().join("c"), &[("mvx.txt", bars.to_owned())]);
    let mvx = system(&import(Kind::Mvx, &path, None).unwrap());
    assert_eq!(display(&mvx, "ABC").unwrap(), "Invented Vaccines, Inc.");
}

#[test]
fn ndc_has_products_and_packages_in_both_forms() {
    let data = tempfile::tempdir().unwrap();
    let products = "PRODUCTID\tPRODUCTNDC\tPRODUCTTYPENAME\tPROPRIETARYNAME\tNONPROPRIETARYNAME\tLABELERNAME\n\
        x\t9999-001\tHUMAN PRESCRIPTION DRUG\tFantasil\tphantasol\tInvented\n";
    let packages = "PRODUCTID\tPRODUCTNDC\tNDCPACKAGECODE\tPACKAGEDESCRIPTION\n\
        x\t9999-001\t9999-001-02\t30 TABLET in 1 BOTTLE\n";
    let files = [
        ("product.txt", products.to_owned()),
        ("package.txt", packages.to_owned()),
    ];
    let path = zip(&data.path().join("ndctext.zip"), &files);
    assert!(
        import(Kind::Ndc, &path, None)
            .unwrap_err()
            .contains("--version")
    );
    let ndc = system(&import(Kind::Ndc, &path, Some("20260101")).unwrap());
    assert_eq!(display(&ndc, "9999-001").unwrap(), "Fantasil (phantasol)");
    assert_eq!(
        display(&ndc, "09999000102").unwrap(),
        "30 TABLET in 1 BOTTLE"
    );
    let table = ndc.table().unwrap();
    let (product, package) = (table.find("9999-001"), table.find("9999-001-02"));
    assert!(table.is_above(product.unwrap(), package.unwrap()));
}

#[test]
fn a_table_with_commas_has_the_columns_that_its_head_names() {
    let data = tempfile::tempdir().unwrap();
    let text = "\u{feff}code,display,parent,status,designation:de,unit\n\
        CHEM,Chemistry,,,Chemie,\nNA,\"Sodium, serum\",CHEM,active,Natrium,mmol/L\nOLD,Old,CHEM,inactive,,\n";
    let path = folder(&data.path().join("a"), &[("lab.csv", text.to_owned())]).join("lab.csv");
    let local = system(&import(Kind::Csv, &path, Some("1")).unwrap());
    assert_eq!(display(&local, "NA").unwrap(), "Sodium, serum");
    let table = local.table().unwrap();
    let at = table.find("NA").unwrap();
    assert!(table.is_above(table.find("CHEM").unwrap(), at));
    assert_eq!(table.property(at, "unit").next().unwrap().value, "mmol/L");
    assert_eq!(table.designations(at).next().unwrap().language, Some("de"));
    assert!(local.find("OLD").unwrap().is_inactive());
    for (text, expected) in [
        (
            "display\nx\n",
            "lab.csv, line 1: the first line names the columns",
        ),
        (
            "code\na\na\n",
            "lab.csv, line 3: the code a is there for the second time",
        ),
        (
            "code,parent\na,b\n",
            "lab.csv, line 2: the parent b is none of the codes",
        ),
        (
            "code,status\na,odd\n",
            "lab.csv, line 2: status is active or inactive, not odd",
        ),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = import(Kind::Csv, &path, Some("1")).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn packages_of_fhir_give_their_definitions() {
    let data = tempfile::tempdir().unwrap();
    let system = r#"{"resourceType":"CodeSystem","url":"http://example.org/c","version":"1","status":"active","content":"complete","concept":[{"code":"a","display":"A"}]}"#;
    let set = r#"{"resourceType":"ValueSet","url":"http://example.org/v","status":"active","compose":{"include":[{"system":"http://example.org/c"}]}}"#;
    let map = r#"{"resourceType":"ConceptMap","url":"http://example.org/m","status":"active","group":[{"source":"http://example.org/c","target":"http://example.org/d","element":[{"code":"a","target":[{"code":"b","equivalence":"equal"}]}]}]}"#;
    let files = [
        ("CodeSystem-c.json", system.to_owned()),
        ("ValueSet-v.json", set.to_owned()),
        ("ConceptMap-m.json", map.to_owned()),
        ("StructureDefinition-x.json", "{}".to_owned()),
    ];
    let path = package(&data.path().join("guide-1.0.tgz"), &files);
    let imported = import(Kind::Fhir, &path, None).unwrap();
    assert_eq!(imported.resources.len(), 3);
    assert_eq!(imported.left_out.len(), 1);
    let all = installed(data.path(), Kind::Fhir, &imported);
    assert_eq!(codes(&all, "http://example.org/v"), ["a"]);
    assert!(all.map("http://example.org/m").unwrap().is_some());
    let wanted = hilum_terminology::Wanted::MapsFrom("http://example.org/c".into());
    assert_eq!(all.maps(&wanted).unwrap().len(), 1);
    let broken = [(
        "CodeSystem-c.json",
        "{\"resourceType\":\"CodeSystem\"".to_owned(),
    )];
    let path = package(&data.path().join("broken.tgz"), &broken);
    let error = import(Kind::Fhir, &path, None).unwrap_err();
    assert!(
        error.starts_with("broken.tgz, CodeSystem-c.json: "),
        "{error}"
    );
}

#[test]
fn errors_of_releases_name_file_and_line() {
    let data = tempfile::tempdir().unwrap();
    let mut files = rf2(5, "20260101");
    files[0].1 = files[0]
        .1
        .replace("\t1\t900000000000207008", "\tx\t900000000000207008");
    let path = folder(&data.path().join("s"), &named(&files));
    let error = import(Kind::Snomed, &path, None).unwrap_err();
    let expected = "sct2_Concept_Snapshot_INT_20260101.txt, line 2: the third column, active";
    assert!(error.starts_with(expected), "{error}");
    let mut files = loinc();
    files[0].1 = LOINC_HEAD.replace("LOINC_NUM", "NUMBER");
    let path = folder(&data.path().join("l"), &files);
    let error = import(Kind::Loinc, &path, None).unwrap_err();
    assert_eq!(error, "Loinc.csv, line 1: there is no column LOINC_NUM");
    let error = import(Kind::Rxnorm, &path, None).unwrap_err();
    assert!(error.contains("has no RXNCONSO.RRF"), "{error}");
    let error = import(Kind::Loinc, &data.path().join("none"), None).unwrap_err();
    assert!(error.starts_with("cannot read "), "{error}");
}

#[test]
fn a_zip_that_did_not_come_whole_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let path = zip(&data.path().join("Loinc_2.78.zip"), &loinc());
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 30]).unwrap();
    let error = import(Kind::Loinc, &path, None).unwrap_err();
    assert!(error.contains("may not have come whole"), "{error}");
    // A byte of the packed text that changed is found by length, checksum or the packing itself.
    let mut broken = bytes;
    broken[120] ^= 0x55;
    std::fs::write(&path, &broken).unwrap();
    assert!(import(Kind::Loinc, &path, None).is_err());
}

#[test]
fn a_line_that_is_too_long_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let most = hilum_terminology::import::LINE_BYTES_MAX;
    for (length, fits) in [(most - 40, true), (most + 1, false)] {
        let text = format!(
            "901 |{}|full||Active|False|2024/02/03\n",
            "x".repeat(length)
        );
        let path = folder(&data.path().join("a"), &[("cvx.txt", text)]);
        let result = import(Kind::Cvx, &path, None);
        assert_eq!(result.is_ok(), fits);
        if let Err(error) = result {
            assert!(error.contains("line 1: it has more than"), "{error}");
        }
    }
}

#[test]
fn loads_stand_side_by_side_and_the_last_activated_goes_first() {
    let data = tempfile::tempdir().unwrap();
    let folder_of = Folder::of(data.path());
    let table = |version: &str, name: &str| {
        let path = data.path().join("t.csv");
        std::fs::write(&path, format!("code,display\na,{name}\n")).unwrap();
        import(Kind::Csv, &path, Some(version)).unwrap()
    };
    for (version, name) in [("1", "old"), ("2", "new")] {
        let imported = table(version, name);
        let id = Folder::id(Kind::Csv, "http://example.org/local", &imported);
        folder_of
            .keep(&id, Kind::Csv, &imported, version, "2026-01-01T00:00:00Z")
            .unwrap();
    }
    let ids: Vec<String> = folder_of
        .loads()
        .unwrap()
        .into_iter()
        .map(|load| load.id)
        .collect();
    assert_eq!(
        ids,
        ["http-example.org-local-1", "http-example.org-local-2"]
    );
    let url = "http://example.org/local";
    let told = |version: Option<&str>| {
        let all = Terminology::new(folder_of.open().unwrap().sources());
        let system = all.system(url, version).unwrap()?;
        display(&system, "a")
    };
    assert_eq!(told(None), None);
    folder_of.activate(&ids[1]).unwrap();
    folder_of.activate(&ids[0]).unwrap();
    assert_eq!(told(None).unwrap(), "old");
    assert_eq!(told(Some("2")).unwrap(), "new");
    assert!(matches!(
        folder_of.remove(&ids[0]),
        Err(LoadError::Active(_))
    ));
    assert!(folder_of.deactivate(&ids[0]).unwrap());
    assert!(!folder_of.deactivate(&ids[0]).unwrap());
    assert_eq!(told(None).unwrap(), "new");
    folder_of.remove(&ids[0]).unwrap();
    assert!(matches!(
        folder_of.load(&ids[0]),
        Err(LoadError::Unknown(_))
    ));
    assert!(matches!(
        folder_of.activate("../x"),
        Err(LoadError::Unknown(_))
    ));
}

#[test]
fn what_was_interrupted_is_never_used_and_what_is_damaged_is_said() {
    let data = tempfile::tempdir().unwrap();
    let path = data.path().join("t.csv");
    std::fs::write(&path, "code\na\n").unwrap();
    let imported = import(Kind::Csv, &path, Some("1")).unwrap();
    let loads = Folder::of(data.path());
    let keep = |fingerprint: &str| {
        loads.keep(
            "local-1",
            Kind::Csv,
            &imported,
            fingerprint,
            "2026-01-01T00:00:00Z",
        )
    };
    keep("a").unwrap();
    loads.activate("local-1").unwrap();
    let place = data.path().join("terminology");
    // Broken off while it was replaced: the old one was moved, the new one not yet named.
    std::fs::rename(place.join("local-1"), place.join(".old-local-1")).unwrap();
    std::fs::create_dir(place.join(".part-local-1")).unwrap();
    let opened = loads.open().unwrap();
    assert_eq!((opened.loads.len(), opened.problems.len()), (1, 0));
    keep("b").unwrap();
    assert_eq!(loads.load("local-1").unwrap().fingerprint, "b");
    assert!(!place.join(".part-local-1").exists() && !place.join(".old-local-1").exists());
    let table = place.join("local-1/system-0.table");
    let mut bytes = std::fs::read(&table).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&table, bytes).unwrap();
    let opened = loads.open().unwrap();
    assert_eq!((opened.loads.len(), opened.problems.len()), (0, 1));
    assert!(matches!(
        loads.activate("local-1"),
        Err(LoadError::Table(..))
    ));
}
