use super::*;
use crate::config::Limits;
use crate::id::ParamKey;
use crate::normal::Tokens;
use crate::row::{CompositePart, IndexRow, IndexValue};
use hilum_message::IndexKey;

fn tokens() -> Tokens {
    Tokens::new(IndexKey::new([7; 16]))
}

fn packed(rows: &[(u32, IndexValue)]) -> Vec<u8> {
    let rows: Vec<IndexRow> = rows
        .iter()
        .map(|(param, value)| IndexRow {
            param: ParamKey(*param),
            value: value.clone(),
        })
        .collect();
    pack(&rows, &tokens(), &Limits::default()).unwrap()
}

fn mg(low: f64, code: &str) -> IndexValue {
    IndexValue::Quantity {
        low,
        high: low,
        system: Some("http://unitsofmeasure.org".into()),
        code: Some(code.into()),
        unit: None,
    }
}

#[test]
fn a_packing_reads_back_in_the_order_of_parameters_each_value_once() {
    let token = IndexValue::Token {
        system: Some("s".into()),
        code: Some("final".into()),
    };
    let bytes = packed(&[
        (300, IndexValue::String("Müller".into())),
        (5, token.clone()),
        (5, token),
        (9, IndexValue::Uri("http://a/b".into())),
    ]);
    let params: Vec<u32> = Rows(&bytes).iter().map(|(param, _)| param).collect();
    assert_eq!(params, [5, 9, 300]);
    assert!(matches!(
        Rows(&bytes).of(300).next(),
        Some(Cell::String {
            folded: "muller",
            ..
        })
    ));
    assert!(matches!(
        Rows(&bytes).of(5).next(),
        Some(Cell::Token { shown: "final", .. })
    ));
    assert_eq!(Rows(&bytes).of(6).count(), 0);
}

#[test]
fn equal_amounts_in_different_units_are_one_row() {
    let bytes = packed(&[(1, mg(5.4, "mg"))]);
    let other = packed(&[(1, mg(0.0054, "g"))]);
    let canonical = |bytes: &[u8]| match Rows(bytes).of(1).next() {
        Some(Cell::Quantity { canonical, .. }) => canonical,
        _ => None,
    };
    assert!(canonical(&bytes).is_some());
    assert_eq!(canonical(&bytes), canonical(&other));
}

#[test]
fn damaged_packings_end_instead_of_failing() {
    let composite = IndexValue::Composite(vec![
        CompositePart(vec![IndexValue::Token {
            system: None,
            code: Some("a".into()),
        }]),
        CompositePart(vec![mg(1.0, "kg")]),
    ]);
    let bytes = packed(&[
        (1, composite),
        (
            2,
            IndexValue::Date {
                start_ms: 0,
                end_ms: i64::MAX,
            },
        ),
    ]);
    for cut in 0..bytes.len() {
        for (_, cell) in Rows(&bytes[..cut]).iter() {
            if let Cell::Composite(parts) = cell {
                let cells: usize = parts.iter().map(|values| values.iter().count()).sum();
                assert!(cells <= 2);
            }
        }
    }
    assert_eq!(table_rows(Rows(&bytes), &tokens()).len(), 2);
}

#[test]
fn what_is_contained_is_packed_apart_from_its_container() {
    let code = |code: &str| IndexValue::Token {
        system: None,
        code: Some(code.into()),
    };
    let row = |param, value| IndexRow {
        param: ParamKey(param),
        value,
    };
    let of = crate::id::ResourceType(9);
    let inner = vec![row(5, code("in")), row(6, code("more"))];
    let rows = [
        row(5, code("out")),
        IndexRow::contained(of, "Medication", "m", inner),
    ];
    let bytes = pack(&rows, &tokens(), &Limits::default()).unwrap();
    assert_eq!(Rows(&bytes).of(5).count(), 1);
    assert_eq!(Rows(&bytes).of(5 | MARK).count(), 0);
    let Some(Cell::Contained { local, rows, .. }) = Rows(&bytes).of(contained(9)).next() else {
        panic!("the contained resource is there");
    };
    assert_eq!(local, tokens().url("#m"));
    let params: Vec<u32> = rows.iter().map(|(param, _)| param).collect();
    assert_eq!(params, [5 | MARK, 6 | MARK]);
    // One row of its own, one that tells what it contains, two of what that says.
    assert_eq!(table_rows(Rows(&bytes), &tokens()).len(), 4);

    let limits = Limits {
        rows_max: 3,
        ..Limits::default()
    };
    let inner = vec![row(5, code("in")), row(6, code("more"))];
    let rows = [
        row(5, code("out")),
        IndexRow::contained(of, "Medication", "m", inner),
    ];
    assert!(pack(&rows, &tokens(), &limits).is_err());
}
