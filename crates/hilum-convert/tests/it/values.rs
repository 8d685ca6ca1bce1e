//! What the shipped rows write of themselves, constants and codes, against the tables of R4.

use std::collections::{BTreeMap, BTreeSet};

use hilum_convert::Maps;
use hilum_convert::text::{Block, CodeRow, Entry, Head, MapRow, Rows, Step, Target, Through};
use hilum_fhir::definitions::{
    BindingStrength, Child, Definitions, ElementId, Membership, code_system,
};

type Table<'m> = (Option<&'m str>, &'m [Entry<CodeRow>]);

fn blocks(maps: &Maps) -> impl Iterator<Item = (&str, &Block)> {
    let files = maps.files().iter();
    files.flat_map(|file| {
        file.blocks
            .iter()
            .map(move |block| (file.name.as_str(), block))
    })
}

fn tables(maps: &Maps) -> BTreeMap<&str, Table<'_>> {
    let mut tables = BTreeMap::new();
    for (_, block) in blocks(maps) {
        if let (Head::Codes(name), Rows::Codes { to, rows, .. }) = (&block.head, &block.rows) {
            tables.insert(name.as_str(), (to.as_deref(), rows.as_slice()));
        }
    }
    tables
}

/// The element that a row's target ends at; `None` beyond extensions and in other resources that
/// the path does not name.
fn element(r4: &Definitions, map: &str, target: &Target) -> Option<ElementId> {
    let mut names = map.split('.');
    let mut scope = r4.type_def(r4.type_named(names.next()?)?).root;
    let mut at: Option<Child> = None;
    for name in names {
        let child = r4.child(scope, name)?;
        (scope, at) = (child.scope, Some(child));
    }
    for place in &target.steps {
        match &place.step {
            Step::Element { name, .. } => {
                let child = r4.child(scope, name)?;
                (scope, at) = (child.scope, Some(child));
            }
            Step::Refer { to, .. } => (scope, at) = (r4.type_def(r4.type_named(to)?).root, None),
            Step::Extension { .. } | Step::Back { .. } => return None,
        }
    }
    Some(at?.element)
}

fn codes_of(through: &Through) -> Option<&str> {
    match through {
        Through::Codes(name) => Some(name),
        Through::Function { codes, .. } | Through::Map { codes, .. } => codes.as_deref(),
        Through::Type | Through::Constant(_) | Through::Reference { .. } | Through::Given(_) => {
            None
        }
    }
}

fn written<'m>(
    row: &'m MapRow,
    tables: &BTreeMap<&str, Table<'m>>,
) -> Vec<(Option<&'m str>, &'m str)> {
    if let Through::Constant(text) = &row.through {
        return vec![(None, text)];
    }
    let Some((to, rows)) = codes_of(&row.through).and_then(|name| tables.get(name)) else {
        return Vec::new();
    };
    let rows = rows.iter().map(|entry| &entry.row);
    let rows = rows.filter_map(|row| Some((row.system.as_deref().or(*to), row.target.as_deref()?)));
    rows.collect()
}

#[test]
fn what_a_row_writes_is_in_the_required_value_set_of_its_element() {
    let r4 = Definitions::r4();
    let maps = Maps::shipped().unwrap();
    let tables = tables(maps);
    let mut wrong = BTreeSet::new();
    let mut checked = 0;
    for (file, block) in blocks(maps) {
        let (Head::Map(name), Rows::Map(rows)) = (&block.head, &block.rows) else {
            continue;
        };
        for entry in rows {
            let Some(target) = &entry.row.target else {
                continue;
            };
            let Some(at) = element(r4, &name.to, target) else {
                continue;
            };
            let Some(binding) = &r4.element(at).binding else {
                continue;
            };
            if binding.strength != BindingStrength::Required {
                continue;
            }
            let Some(set) = r4.value_set(binding.value_set) else {
                continue;
            };
            for (_, code) in written(&entry.row, &tables) {
                checked += 1;
                if set.contains(None, code) == Membership::Out {
                    wrong.insert(format!(
                        "{file}:{} {code} {}",
                        entry.spot.line, binding.value_set
                    ));
                }
            }
        }
    }
    assert_eq!(wrong, BTreeSet::new());
    assert!(checked > 100, "{checked}");
}

/// Codes of systems that live outside FHIR's own addresses changed after R4 was made; the tables
/// of R4 are no measure for them.
#[test]
fn a_target_code_of_a_system_of_fhir_is_one_of_its_codes() {
    let maps = Maps::shipped().unwrap();
    let mut wrong = BTreeSet::new();
    let mut checked = 0;
    for (name, (to, rows)) in tables(maps) {
        for entry in rows {
            let Some(code) = entry.row.target.as_deref() else {
                continue;
            };
            let system = entry.row.system.as_deref().or(to).unwrap_or_default();
            if !system.starts_with("http://hl7.org/fhir/") {
                continue;
            }
            let Some(known) = code_system(system) else {
                wrong.insert(format!("{name}: {system} is no system of R4"));
                continue;
            };
            checked += 1;
            if !known.iter().any(|placed| placed.code == code) {
                wrong.insert(format!("{name}: {code} is not in {system}"));
            }
        }
    }
    assert_eq!(wrong, BTreeSet::new());
    assert!(checked > 100, "{checked}");
}
