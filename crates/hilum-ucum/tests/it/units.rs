//! Reading, converting and naming units, in tables.

use hilum_ucum::{CODE_BYTES_MAX, ConvertError, EXPONENT_MAX, NESTING_MAX, Unit, UnitProblem};
use proptest::prelude::*;

use crate::{number, rounds_to};

#[test]
fn units_come_down_to_base_units() {
    let check = |code: &str, canonical: &str, factor: &str| {
        let unit = Unit::parse(code).unwrap();
        assert_eq!(unit.canonical(), canonical, "{code}");
        assert_eq!(unit.factor(), Some(&number(factor)), "{code}");
    };
    check("", "1", "1");
    check("N", "g.m.s-2", "1000");
    check("mm[Hg]", "g.m-1.s-2", "133322");
    check("/L", "m-3", "1000");
    check("mmol/L", "m-3", "602214076000000000000000");
    check("10*-3", "1", "0.001");
    check("%", "1", "0.01");
    check("[iU]/mL", "[iU].m-3", "1000000");
    check("[IU]", "[iU]", "1");
    check("m.m-1", "1", "1");
    check("kg/(8.s)", "g.s-1", "125");
}

#[test]
fn amounts_convert_exactly_where_units_allow() {
    let check = |value: &str, from: &str, to: &str, wanted: &str, exact: bool| {
        let (a, b) = (Unit::parse(from).unwrap(), Unit::parse(to).unwrap());
        let found = a.convert(&number(value), &b).unwrap();
        assert!(
            rounds_to(&found.value, wanted),
            "{value} {from} -> {to}: {}",
            found.value
        );
        assert_eq!(found.exact, exact, "{from} -> {to}");
    };
    check("37", "Cel", "K", "310.15", true);
    check("98.6", "[degF]", "Cel", "37.00000", true);
    check("37.0", "Cel", "[degF]", "98.60000", true);
    check("100", "Cel", "[degRe]", "80.000", true);
    check("5.5", "mmol/L", "umol/dL", "550.000", true);
    check("1", "[lb_av]", "kg", "0.45359237", true);
    check("7.4", "[pH]", "mol/L", "3.98107170553497e-8", false);
    check("1", "mol/L", "[pH]", "0", false);
    check("20", "dB", "1", "100", false);
    check("30", "dB[W]", "W", "1000", false);
    check("100", "%[slope]", "deg", "45.0000000000", false);
    check("100", "[p'diop]", "deg", "45.0000000000", false);
    check("4", "[m/s2/Hz^(1/2)]", "m2/s4/Hz", "16", false);
}

#[test]
fn different_things_do_not_convert() {
    let check = |from: &str, to: &str| {
        let (a, b) = (Unit::parse(from).unwrap(), Unit::parse(to).unwrap());
        let error = a.convert(&number("1"), &b).unwrap_err();
        assert!(
            matches!(error, ConvertError::Incommensurable { .. }),
            "{from} -> {to}"
        );
    };
    check("m", "s");
    check("[iU]", "[arb'U]");
    check("[iU]", "1");
    check("mmol/L", "mg/dL");
    let (a, b) = (Unit::parse("1").unwrap(), Unit::parse("B").unwrap());
    assert!(matches!(
        a.convert(&number("-1"), &b),
        Err(ConvertError::OutOfRange { .. })
    ));
}

#[test]
fn errors_name_the_place() {
    let check = |code: &str, position: usize, problem: UnitProblem| {
        let error = Unit::parse(code).unwrap_err();
        assert_eq!(
            (error.position, error.problem),
            (position, problem),
            "{code}"
        );
    };
    let text = str::to_owned;
    check("mg/foo", 3, UnitProblem::Unknown(text("foo")));
    check("mg/DL", 3, UnitProblem::Unknown(text("DL")));
    check(
        "MOL",
        0,
        UnitProblem::Case {
            found: text("MOL"),
            meant: text("mol"),
        },
    );
    check("g/12h", 4, UnitProblem::NumberBeforeUnit);
    check("{a}rad", 3, UnitProblem::AnnotationFirst);
    check("mg/", 3, UnitProblem::Expected);
    check("mg/(kg.d", 3, UnitProblem::Bracket);
    check("mg)", 2, UnitProblem::Bracket);
    check("m[H2O", 1, UnitProblem::Bracket);
    check("mg/µL", 3, UnitProblem::NotAscii);
    check("m g", 1, UnitProblem::NotAscii);
    check("W/(m2.Cel)", 6, UnitProblem::SpecialInTerm(text("Cel")));
    check("Cel2", 0, UnitProblem::SpecialInTerm(text("Cel")));
    check("2.Cel", 2, UnitProblem::SpecialInTerm(text("Cel")));
    check("1/0", 2, UnitProblem::Unexpected);
}

#[test]
fn units_multiply_and_divide() {
    let check = |a: &str, b: &str, product: &str, quotient: &str| {
        let (a, b) = (Unit::parse(a).unwrap(), Unit::parse(b).unwrap());
        assert_eq!(a.times(&b).unwrap().code(), product);
        assert_eq!(a.over(&b).unwrap().code(), quotient);
    };
    check("g", "m", "g.m", "g/m");
    check("g", "1", "g", "g");
    check("1", "g", "g", "/g");
    check("m", "m", "m.m", "1");
    check("mg", "mL/min", "mg.(mL/min)", "mg/(mL/min)");
    assert_eq!(Unit::parse("cm.m").unwrap(), Unit::parse("dm2").unwrap());
}

#[test]
fn limits_hold() {
    let fits = "m".to_owned() + &".m".repeat((CODE_BYTES_MAX - 1) / 2);
    assert!(Unit::parse(&fits).is_ok());
    assert!(Unit::parse(&(fits + ".m")).is_err());
    let nested = |n: usize| format!("{}m{}", "(".repeat(n), ")".repeat(n));
    assert!(Unit::parse(&nested(NESTING_MAX - 1)).is_ok());
    assert!(Unit::parse(&nested(NESTING_MAX)).is_err());
    assert!(Unit::parse(&format!("m{EXPONENT_MAX}")).is_ok());
    assert!(Unit::parse(&format!("m{}", EXPONENT_MAX + 1)).is_err());
    assert!(Unit::parse("[pi]99.[pi]99").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_makes_it_panic(code in "[mgsLk%\\[\\]{}()./0-9*^+-]{0,24}|\\PC{0,16}") {
        let _unit = Unit::parse(&code);
    }

    #[test]
    fn converting_there_and_back_changes_nothing(n in -1_000_000_i64..1_000_000, pair in 0_usize..5) {
        let (a, b) = [("mg", "kg"), ("[in_i]", "m"), ("Cel", "[degF]"), ("L/min", "mL/h"), ("d", "wk")][pair];
        let (a, b) = (Unit::parse(a).unwrap(), Unit::parse(b).unwrap());
        let value = num_rational::BigRational::from(num_bigint::BigInt::from(n));
        let there = a.convert(&value, &b).unwrap().value;
        prop_assert_eq!(b.convert(&there, &a).unwrap().value, value);
    }
}
