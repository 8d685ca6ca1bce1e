use super::*;

fn v(name: &str) -> Version {
    Dictionary::get().version(name).expect("version")
}

#[test]
fn the_committed_table_has_the_layout_that_the_reader_knows() {
    assert!(table::is_known_layout());
    let names: Vec<_> = Dictionary::get().versions().map(Version::name).collect();
    let expected = [
        "2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1",
        "2.8.2",
    ];
    assert_eq!(names, expected);
}

#[test]
fn every_reference_of_the_table_leads_somewhere() {
    for version in Dictionary::get().versions() {
        let known = |name: &str| {
            name == "varies" || name == "*" || name == "var" || version.data_type(name).is_some()
        };
        for segment in version.segments() {
            assert_eq!(version.segment(segment.id()), Some(segment));
            for field in segment.fields() {
                assert!(
                    !field.name().is_empty(),
                    "{} {}-{}",
                    version.name(),
                    segment.id(),
                    field.position()
                );
                assert!(
                    known(field.data_type()),
                    "{} {}-{} {}",
                    version.name(),
                    segment.id(),
                    field.position(),
                    field.data_type()
                );
            }
        }
        for data_type in version.data_types() {
            assert_eq!(version.data_type(data_type.name()), Some(data_type));
            for part in data_type.components() {
                assert!(
                    known(part.data_type()),
                    "{} {}",
                    data_type.name(),
                    part.data_type()
                );
            }
        }
        for table in version.tables() {
            assert_eq!(version.table(table.number()), Some(table));
            for (code, text) in table.codes() {
                assert_eq!(table.text(code), Some(text), "{}", table.number());
            }
        }
        for structure in version.structures() {
            assert_eq!(version.structure(structure.id()), Some(structure));
            check_nodes(version, structure.root());
        }
        for (event, structure) in version.events() {
            let (code, trigger) = event.split_once('_').expect("event");
            let found = version
                .structure_for(code, trigger, None)
                .expect("structure");
            assert_eq!(found.id(), structure);
        }
    }
}

fn check_nodes(version: Version, node: Node) {
    match node.kind() {
        NodeKind::Segment => {
            let name = node.name();
            assert_eq!(node.subtree_len(), 1);
            let known = version.segment(name).is_some();
            assert!(
                known || ["Hxx", "NUL"].contains(&name) || name.starts_with('Z'),
                "{name}"
            );
        }
        NodeKind::Any => assert_eq!(node.subtree_len(), 1),
        NodeKind::Group | NodeKind::Choice => {
            let inner: u16 = node.children().map(Node::subtree_len).sum();
            assert_eq!(node.subtree_len(), inner + 1);
            node.children()
                .for_each(|child| check_nodes(version, child));
        }
    }
}

#[test]
fn fields_say_name_type_table_usage_and_repetition() {
    let check = |version: &str, path: &str, expected: &str| {
        let (segment, position) = path.split_once('-').expect("path");
        let field = v(version)
            .segment(segment)
            .expect("segment")
            .field(position.parse().expect("number"));
        let text = field.map_or("none".to_owned(), |field| {
            format!(
                "{} {} {} table {} length {} max {}",
                field.name(),
                field.data_type(),
                field.usage().letter(),
                field.table().unwrap_or(0),
                field.length().unwrap_or(0),
                field
                    .repetitions_max()
                    .map_or("n".to_owned(), |max| max.to_string())
            )
        });
        assert_eq!(text, expected, "{version} {path}");
    };
    check(
        "2.5.1",
        "PID-3",
        "Patient Identifier List CX R table 0 length 250 max n",
    );
    check(
        "2.5.1",
        "PID-5",
        "Patient Name XPN R table 0 length 250 max n",
    );
    check(
        "2.5.1",
        "PID-8",
        "Administrative Sex IS O table 1 length 1 max 1",
    );
    check("2.3", "PID-8", "Sex IS O table 1 length 1 max 1");
    check(
        "2.5.1",
        "PV1-2",
        "Patient Class IS R table 4 length 1 max 1",
    );
    check(
        "2.5.1",
        "OBX-5",
        "Observation Value varies C table 0 length 99999 max n",
    );
    check("2.8.2", "PID-2", "Patient ID ST W table 0 length 0 max 1");
    check(
        "2.7.1",
        "MSH-10",
        "Message Control ID ST R table 0 length 199 max 1",
    );
    check("2.5.1", "PID-0", "none");
    check("2.5.1", "PID-99", "none");
}

#[test]
fn events_find_their_structure() {
    let check =
        |version: &str, code: &str, trigger: &str, id: Option<&str>, expected: Option<&str>| {
            let found = v(version)
                .structure_for(code, trigger, id)
                .map(Structure::id);
            assert_eq!(found, expected, "{version} {code}^{trigger}^{id:?}");
        };
    check("2.5.1", "ADT", "A01", None, Some("ADT_A01"));
    check("2.5.1", "ADT", "A04", None, Some("ADT_A01"));
    check("2.5.1", "ADT", "A08", Some("ADT_A01"), Some("ADT_A01"));
    check("2.5.1", "ADT", "A40", None, Some("ADT_A39"));
    check("2.5.1", "ADT", "A28", None, Some("ADT_A05"));
    check("2.2", "ADT", "A04", None, Some("ADT_A04"));
    check("2.5.1", "ADT", "A08", Some("ZZZ_Z01"), Some("ADT_A01"));
    check("2.5.1", "ORU", "R01", None, Some("ORU_R01"));
    check("2.5.1", "RDE", "O11", None, Some("RDE_O11"));
    check("2.5.1", "SIU", "S14", None, Some("SIU_S12"));
    check("2.5.1", "MDM", "T08", None, Some("MDM_T02"));
    check("2.5.1", "ACK", "A01", None, Some("ACK"));
    check("2.5.1", "ACK", "", None, Some("ACK"));
    check("2.8.2", "ORU", "R32", None, Some("ORU_R30"));
    check("2.5.1", "XXX", "Y01", None, None);
    check("2.5.1", "A-VERY-LONG-CODE-INDEED", "Y01", None, None);
}

#[test]
fn structures_are_trees_with_cardinality() {
    let structure = v("2.5.1").structure("ORU_R01").expect("ORU_R01");
    let top: Vec<_> = structure
        .root()
        .children()
        .map(|node| (node.name(), node.min(), node.max()))
        .collect();
    assert_eq!(
        top,
        [
            ("MSH", 1, Some(1)),
            ("SFT", 0, None),
            ("PATIENT_RESULT", 1, None),
            ("DSC", 0, Some(1))
        ]
    );
    let orm = v("2.5.1").structure("ORM_O01").expect("ORM_O01");
    let choices = (0..orm.node_count()).filter_map(|at| orm.node(at));
    assert_eq!(
        choices
            .filter(|node| node.kind() == NodeKind::Choice)
            .count(),
        1
    );
    assert_eq!(orm.node(orm.node_count()), None);
}

#[test]
fn tables_list_codes_with_texts() {
    let table = v("2.5.1").table(76).expect("message types");
    assert!(table.contains(b"ADT") && !table.contains(b"adt"));
    let sex = v("2.5.1").table(1).expect("sex");
    assert_eq!(
        (sex.text("F"), sex.text("X"), sex.is_open()),
        (Some("Female"), None, false)
    );
    assert!(v("2.5.1").table(9999).is_none());
    assert_eq!(
        v("2.5.1")
            .data_type("XPN")
            .and_then(|name| name.component(2))
            .map(Field::name),
        Some("Given Name")
    );
    assert_eq!(
        v("2.8").data_type("ST").map(DataType::component_count),
        Some(0)
    );
}

#[test]
fn a_version_that_is_not_known_falls_back_to_the_nearest_older_one() {
    let check = |name: &str, expected: &str| {
        assert_eq!(Dictionary::get().nearest(name).name(), expected, "{name:?}");
    };
    check("2.5.1", "2.5.1");
    check("2.5.1^USA", "2.5.1");
    check("2.5.3", "2.5.1");
    check("2.9", "2.8.2");
    check("2.9.1", "2.8.2");
    check("2.0", "2.1");
    check("3.0", "2.8.2");
    check("", "2.5.1");
    check("unknown", "2.5.1");
    check("2.99999999", "2.5.1");
    check(" 2.3 ", "2.3");
}
