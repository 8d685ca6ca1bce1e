//! Units as senders write them, as codes of UCUM.
//!
//! Only what cannot mean anything else is here: `mmol` for `mmol/L` is not, nor capital letters alone
//! (`MMOL/L` may be millimoles or megamoles). A site adds its own with `spelled`.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// What senders write, and UCUM.
const KNOWN: &[(&str, &str)] = &[
    ("mmHg", "mm[Hg]"),
    ("mm Hg", "mm[Hg]"),
    ("cmH2O", "cm[H2O]"),
    ("°C", "Cel"),
    ("degC", "Cel"),
    ("°F", "[degF]"),
    ("degF", "[degF]"),
    ("IU/L", "[IU]/L"),
    ("IU/l", "[IU]/L"),
    ("IU/mL", "[IU]/mL"),
    ("IU/ml", "[IU]/mL"),
    ("mIU/L", "m[IU]/L"),
    ("mIU/l", "m[IU]/L"),
    ("mIU/mL", "m[IU]/mL"),
    ("uIU/mL", "u[IU]/mL"),
    ("kIU/L", "k[IU]/L"),
    ("mEq/L", "meq/L"),
    ("mEq/l", "meq/L"),
    ("mOsm/kg", "mosm/kg"),
    ("mOsmol/kg", "mosm/kg"),
    ("g%", "g/dL"),
    ("sec", "s"),
    ("Sek.", "s"),
    ("mL/min/1.73m2", "mL/min/{1.73_m2}"),
    ("ml/min/1.73m2", "mL/min/{1.73_m2}"),
    ("mL/min/1.73 m2", "mL/min/{1.73_m2}"),
    ("10^12/L", "10*12/L"),
    ("10^12/l", "10*12/L"),
    ("10^9/L", "10*9/L"),
    ("10^9/l", "10*9/L"),
    ("10^6/L", "10*6/L"),
    ("10^6/uL", "10*6/uL"),
    ("10^6/ul", "10*6/uL"),
    ("10^3/uL", "10*3/uL"),
    ("10^3/ul", "10*3/uL"),
    ("K/uL", "10*3/uL"),
];

/// The code of UCUM that a text stands for.
pub(super) fn ucum<'t>(text: &'t str, own: &'t BTreeMap<String, String>) -> Option<Cow<'t, str>> {
    if let Some(code) = own.get(text) {
        return Some(Cow::Borrowed(code));
    }
    // U+00B5 and U+03BC look alike, and UCUM has neither.
    let plain = text.replace(['\u{b5}', '\u{3bc}'], "u");
    let bare = plain
        .strip_prefix(['x', 'X'])
        .filter(|rest| rest.starts_with("10"));
    let bare = bare.unwrap_or(&plain);
    let known = KNOWN.iter().find(|(written, _)| *written == bare);
    let code = known.map_or(bare, |(_, code)| *code);
    if !hilum_ucum::is_unit(code) {
        return None;
    }
    Some(if code == text {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(code.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hilum_knows_is_ucum() {
        for (written, code) in KNOWN {
            assert!(hilum_ucum::is_unit(code), "{code}");
            assert_eq!(ucum(written, &BTreeMap::new()).as_deref(), Some(*code));
        }
        let own = BTreeMap::from([("G/l".to_owned(), "10*9/L".to_owned())]);
        for (text, code) in [
            ("mmol/l", Some("mmol/l")),
            ("µmol/L", Some("umol/L")),
            ("μg/dl", Some("ug/dl")),
            ("x10^9/L", Some("10*9/L")),
            ("G/l", Some("10*9/L")),
            ("Titre", None),
            ("", Some("")),
        ] {
            assert_eq!(ucum(text, &own).as_deref(), code, "{text}");
        }
    }
}
