//! A list of codes to choose from, read from CSV.

use crate::scan::{Record, Scan, cell};
use crate::similar::Candidate;
use crate::table::{Mistake, text_of};

/// Codes of one list.
pub const LIST_MAX: usize = 1_000_000;

/// Reads codes with their texts: the columns `code` and `display` (or `LOINC_NUM` and
/// `LONG_COMMON_NAME`, as the LOINC table has them) and, if there is one, `system`; of a code table
/// its targets. Other columns are passed over.
///
/// # Errors
/// What keeps it from being read, with its line.
pub fn list(bytes: &[u8]) -> Result<Vec<Candidate>, Mistake> {
    let text = text_of(bytes)?;
    let mut scan = Scan::new(text);
    let unreadable = |error: crate::scan::Unreadable| Mistake::at(error.line, error.text);
    let header = match scan.next() {
        Some(header) => header.map_err(unreadable)?,
        None => return Err(Mistake::at(0, "the list is empty")),
    };
    let places = Places::of(text, &header)?;
    let mut found = Vec::new();
    for record in scan {
        let record = record.map_err(unreadable)?;
        let of = |place: Option<usize>| {
            place
                .and_then(|place| record.cells.get(place))
                .map(|range| cell(text, range).into_owned())
                .unwrap_or_default()
        };
        if found.len() == LIST_MAX {
            return Err(Mistake::at(
                record.line,
                format!("a list has at most {LIST_MAX} codes"),
            ));
        }
        let system = of(places.system);
        found.push(Candidate {
            system: if system.is_empty() {
                places.implied.to_owned()
            } else {
                system
            },
            code: of(Some(places.code)),
            display: of(Some(places.display)),
        });
    }
    Ok(found)
}

struct Places {
    system: Option<usize>,
    /// The system where the list does not say one.
    implied: &'static str,
    code: usize,
    display: usize,
}

impl Places {
    fn of(text: &str, header: &Record) -> Result<Self, Mistake> {
        let names: Vec<String> = header
            .cells
            .iter()
            .map(|range| cell(text, range).to_ascii_lowercase())
            .collect();
        let at = |from: usize, wanted: &[&str]| {
            names
                .iter()
                .enumerate()
                .skip(from)
                .find(|(_, name)| wanted.contains(&name.as_str()))
                .map(|(place, _)| place)
        };
        // Of a code table the targets are what there is to choose from.
        let target = at(0, &["target"]);
        let from = target.unwrap_or(0);
        let code = at(from, &["code", "loinc_num"]);
        let display = at(from, &["display", "long_common_name", "name"]);
        let (Some(code), Some(display)) = (code, display) else {
            return Err(Mistake::at(
                header.line,
                "the columns `code` and `display` must be there",
            ));
        };
        let loinc = names.get(code).is_some_and(|name| name == "loinc_num");
        Ok(Self {
            system: target.or_else(|| at(0, &["system"])),
            implied: if loinc { "LN" } else { "" },
            code,
            display,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str, &str)]) {
        let found = list(text.as_bytes()).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|one| (&*one.system, &*one.code, &*one.display))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn lists_of_several_kinds_are_read() {
        check("Code,x,Display\nK,1,Potassium\n", &[("", "K", "Potassium")]);
        check(
            "system,code,display\nLN,1,\"A, b\"\n",
            &[("LN", "1", "A, b")],
        );
        check(
            "\"LOINC_NUM\",\"COMPONENT\",\"LONG_COMMON_NAME\"\n\"2823-3\",\"K\",\"Potassium\"\n",
            &[("LN", "2823-3", "Potassium")],
        );
        check(
            "source,code,display,target,code,display\nL,K,Kalium,LN,2823-3,Potassium\n",
            &[("LN", "2823-3", "Potassium")],
        );
    }

    #[test]
    fn a_list_has_a_limited_number_of_codes() {
        let mut text = format!("code,display\n{}", "A,b\n".repeat(LIST_MAX));
        assert_eq!(list(text.as_bytes()).unwrap().len(), LIST_MAX);
        text.push_str("A,b\n");
        let told = list(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(told, "line 1000002: a list has at most 1000000 codes");
    }

    #[test]
    fn what_is_no_list_is_told() {
        let told = |text: &str| list(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(told(""), "the list is empty");
        assert_eq!(
            told("a,b\n"),
            "line 1: the columns `code` and `display` must be there"
        );
    }
}
