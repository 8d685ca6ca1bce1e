//! Map files: what is read, and what is refused where.

use hilum_convert::Maps;

/// A small set of maps that is right.
const BASE: &str = "\
map PID -> Patient                      guide segments/PID[Patient]
# source  target        condition       through                      why
PID-3     identifier    -               CX -> Identifier             6
PID-5     name          -               XPN -> HumanName             8
PID-7     birthDate     -               -                            11
PID-8     gender        -               codes AdministrativeSex      14
PID-27    -             -               -                            47: the guide names no extension

map CX -> Identifier                    guide datatypes/CX[Identifier]
CX.1      value               -            -                       4
CX.4      assigner(Organization).name  CX.4.1 != 'X' and (CX.1.exists() or CX.5.empty())
CX.5      type.coding.code

map XPN -> HumanName                    ours
XPN.1.1   family
XPN.2     given

codes AdministrativeSex                 ours
to http://hl7.org/fhir/administrative-gender
F         female     Female     -            5
M         male       Male

message ADT_A01                         ours
PID       Patient          -    PID -> Patient    -    12
NK1       each RelatedPerson  -    -    patient = Patient

identity                                ours
Patient   identifier       MSH-9.1 = 'ADT'   update   ours: the source
Patient   join(PID-3.1, '|', PID-3.4)   -    create
";

fn problems(text: &str) -> Vec<String> {
    let (_, problems) = Maps::read(&[("maps/a.map", text)]);
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn rows_that_are_right_have_no_problem() {
    assert_eq!(problems(BASE), [""; 0]);
}

#[test]
fn a_mistake_is_told_with_its_place_and_a_remedy() {
    let check = |row: &str, expected: &str| {
        let text = BASE.replacen(
            "PID-8     gender        -               codes AdministrativeSex      14",
            row,
            1,
        );
        assert_eq!(
            problems(&text),
            [format!("maps/a.map:6:{expected}")],
            "{row}"
        );
    };
    check(
        "PID-8  gendre",
        "8: Patient has no such element: `gendre`; did you mean `gender`?",
    );
    check("PID-99  gender", "1: PID has 40 fields: `PID-99`");
    check(
        "PDI-8  gender",
        "1: there is no such segment: `PDI`; did you mean `PD1`?",
    );
    check(
        "PID-8  gender  -  codes AdminstrativeSex",
        "19: there is no table of codes of this name: `AdminstrativeSex`; did you mean `AdministrativeSex`?",
    );
    check(
        "PID-3  identifier  -  CX -> Identifer",
        "23: there is no map of this name: `CX -> Identifer`; did you mean `CX -> Identifier`?",
    );
    check(
        "PID-5  name  -  CX -> Identifier",
        "17: the map fills a Identifier, and the target is a HumanName: `CX -> Identifier`",
    );
    check(
        "PID-3  identifier",
        "8: the target is not a primitive, so a value cannot be written to it: `Identifier`; \
         name the element in it, or a map such as `CX -> Identifier`",
    );
    check(
        "PID-8  gender  PID-8.1 == 'F'",
        "25: not a place of a message: `= 'F'`; \
         write a field such as `PID-3.4`, a component such as `CX.4`, or `-`",
    );
}
