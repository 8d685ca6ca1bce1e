//! Conditions that one index answers together.
//!
//! A code alone is frequent and so is a range of values, so that neither index narrows a search for
//! "this code above that value". The composite's index holds both, code first: its range is as long
//! as the answer. Such a search therefore gets the composite as a further condition, which changes
//! no result.

use hilum_fhir_store::{Criterion, Test};

use super::table::Param;

/// Composites that hold every pair of the values of their parts, because the parts are elements of
/// the resource itself and the composite selects all that its parts' own parameters select. That is
/// not so for most: `code-value-string` leaves the text of a concept out, which `value-string` has.
const WHOLE: [&str; 1] = ["http://hl7.org/fhir/SearchParameter/Observation-code-value-quantity"];

/// Pairs of alternatives up to which the composite is asked.
const PAIRS_MAX: usize = 64;

/// The composite conditions that follow from `criteria` on one type.
pub(super) fn implied(params: &[Param<'_>], criteria: &[Criterion]) -> Vec<Criterion> {
    params
        .iter()
        .filter(|param| WHOLE.contains(&&*param.def.url))
        .filter_map(|composite| {
            let [first, second] = &composite.def.components[..] else {
                return None;
            };
            let test_of = |wanted| {
                let param = params.iter().find(|param| param.def.id == wanted)?;
                criteria.iter().find_map(|criterion| match criterion {
                    Criterion::Param { params, test } if params[..] == [param.key] => Some(test),
                    _ => None,
                })
            };
            let (Test::Token(codes), Test::Quantity(values)) =
                (test_of(first.0)?, test_of(second.0)?)
            else {
                return None;
            };
            let pairs = codes.iter().flat_map(|code| {
                values.iter().map(|value| {
                    let value = Test::Quantity(vec![value.clone()]);
                    vec![Test::Token(vec![code.clone()]), value]
                })
            });
            let few = codes.len().saturating_mul(values.len()) <= PAIRS_MAX;
            few.then(|| Criterion::Param {
                params: vec![composite.key],
                test: Test::Composite(pairs.collect()),
            })
        })
        .collect()
}
