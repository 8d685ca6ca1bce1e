//! Rows of a segment that fill the same elements, and what they read to do it.
//!
//! The results of one order say much the same: the same status, times, unit and range. A portion of
//! the rows for which two segments do not differ makes the same of both; the run then makes it once.

use std::collections::HashMap;

use hilum_fhir::definitions::ElementId;

use super::source::segment_id;
use super::{
    CodesUse, Cond, Fields, Joined, Map, Number, PlaceStep, Plan, Portion, Portions, Reads, Row,
    RowReads, SegRef, Src, Way,
};
use crate::text::Function;

/// Fields that [`Fields`] tells apart.
const FIELDS_MAX: u32 = 126;

/// Other segments that the rows of a map may read; what reads more of them is not told.
const OTHERS_MAX: usize = 32;

/// Notes the portions of the maps of segments.
pub(super) fn note(plan: &mut Plan) {
    let portions: Vec<Portions> = plan.maps.iter().map(|map| of_map(plan, map)).collect();
    for (map, portions) in plan.maps.iter_mut().zip(portions) {
        map.portions = portions;
    }
}

fn of_map(plan: &Plan, map: &Map) -> Portions {
    let mut portions = Portions::default();
    let Some(own) = segment_id(&map.name.from).filter(|_| map.is_segment) else {
        return portions;
    };
    // A row that fills the target itself may fill any of its elements.
    if map.rows.iter().any(|row| row.place == 0) {
        return portions;
    }
    for row in &map.rows {
        let mut look = Look {
            plan,
            own,
            others: &mut portions.others,
            reads: Reads::default(),
            seen: Vec::new(),
        };
        if let Some(condition) = &row.condition {
            look.condition(condition);
        }
        let test = look.reads;
        look.row(row);
        let all = look.reads;
        portions.reads.push(RowReads { test, all });
    }
    for rows in grouped(plan, map) {
        let mut asked = Fields::default();
        for field in rows.iter().filter_map(|row| map.asked.get(*row as usize)) {
            asked.add(*field);
        }
        portions.groups.push(Portion { rows, asked });
    }
    portions
}

/// The rows by the elements that they fill, in the order of the map. Those that make resources stay
/// together, since resources are numbered as they are made.
fn grouped(plan: &Plan, map: &Map) -> Vec<Vec<Number>> {
    let mut group_of: Vec<usize> = Vec::with_capacity(map.rows.len());
    let mut of_element: HashMap<ElementId, usize> = HashMap::new();
    let mut makers: Option<usize> = None;
    for (at, row) in map.rows.iter().enumerate() {
        let (element, mut makes) = way_of(map, row.place);
        makes |= row_makes(plan, row, &mut Vec::new());
        let known = element.and_then(|element| of_element.get(&element).copied());
        let group = known.or(makers.filter(|_| makes)).unwrap_or(at);
        if makes && let Some(other) = makers.replace(group).filter(|other| *other != group) {
            let same = |of: &mut usize| {
                if *of == other {
                    *of = group;
                }
            };
            group_of.iter_mut().for_each(same);
            of_element.values_mut().for_each(same);
        }
        if let Some(element) = element {
            of_element.insert(element, group);
        }
        group_of.push(group);
    }
    let mut groups: Vec<(usize, Vec<Number>)> = Vec::new();
    for (row, group) in (0..).zip(group_of) {
        match groups.iter_mut().find(|(known, _)| *known == group) {
            Some((_, rows)) => rows.push(row),
            None => groups.push((group, vec![row])),
        }
    }
    groups.into_iter().map(|(_, rows)| rows).collect()
}

/// The element of the target that a place is in, and whether a resource is made on the way to it.
fn way_of(map: &Map, mut place: Number) -> (Option<ElementId>, bool) {
    let (mut element, mut makes) = (None, false);
    while place != 0
        && let Some(def) = map.places.get(place as usize)
    {
        element = match &def.step {
            PlaceStep::Target => element,
            PlaceStep::Single | PlaceStep::Append | PlaceStep::Extension { .. } => {
                Some(def.child.element)
            }
            PlaceStep::Refer { reference, .. } => {
                makes = true;
                Some(reference.child.element)
            }
            // What refers to the target stands beside it.
            PlaceStep::Back { .. } => {
                makes = true;
                None
            }
        };
        place = def.parent;
    }
    (element, makes)
}

/// Whether a map within a row makes resources.
fn row_makes(plan: &Plan, row: &Row, seen: &mut Vec<Number>) -> bool {
    let Way::Map { map, .. } = row.way else {
        return false;
    };
    if seen.contains(&map) {
        return false;
    }
    seen.push(map);
    let Some(map) = plan.maps.get(map as usize) else {
        return false;
    };
    map.rows
        .iter()
        .any(|row| way_of(map, row.place).1 || row_makes(plan, row, seen))
}

/// What a row looks at, those of maps within it too.
struct Look<'p, 'o> {
    plan: &'p Plan,
    own: [u8; 3],
    others: &'o mut Vec<[u8; 3]>,
    reads: Reads,
    seen: Vec<Number>,
}

impl Look<'_, '_> {
    fn row(&mut self, row: &Row) {
        self.source(&row.source);
        if let Some(condition) = &row.condition {
            self.condition(condition);
        }
        match &row.way {
            Way::Type | Way::Constant(_) | Way::Given(_) | Way::Role(..) => {}
            Way::Codes(codes) => self.table(Some(codes)),
            Way::Capture(_, codes) => self.table(codes.as_ref()),
            Way::Map { of, map, codes } => {
                if let Some(of) = of {
                    self.source(of);
                }
                self.table(codes.as_ref());
                self.map(*map);
            }
            Way::Function(function, arguments, codes) => {
                // Lines are those of all segments; a payload is not kept twice.
                self.reads.beyond |= matches!(function, Function::Lines | Function::Data);
                for argument in arguments {
                    if let Joined::Path(src) = argument {
                        self.source(src);
                    }
                }
                self.table(codes.as_ref());
            }
        }
    }

    fn map(&mut self, number: Number) {
        if self.seen.contains(&number) {
            return;
        }
        self.seen.push(number);
        let plan = self.plan;
        match plan.maps.get(number as usize) {
            Some(map) if !map.is_segment => {
                for row in &map.rows {
                    self.row(row);
                }
            }
            // The fields of a map of a segment are those of another one.
            Some(_) | None => self.reads.beyond = true,
        }
    }

    fn table(&mut self, codes: Option<&CodesUse>) {
        let table = codes.and_then(|codes| self.plan.codes.get(codes.table as usize));
        for row in table.map(|table| table.rows.as_slice()).unwrap_or_default() {
            if let Some(condition) = &row.condition {
                self.condition(condition);
            }
        }
    }

    fn condition(&mut self, condition: &Cond) {
        match condition {
            Cond::And(parts) | Cond::Or(parts) => {
                for part in parts {
                    self.condition(part);
                }
            }
            Cond::Not(inner) | Cond::Fact { of: inner, .. } => self.condition(inner),
            _ => {
                for src in condition.sources() {
                    self.source(src);
                }
            }
        }
    }

    fn source(&mut self, src: &Src) {
        let (segment, field) = match src {
            Src::Once | Src::Value { .. } => return,
            Src::Segment(segment) => (*segment, None),
            Src::Field { segment, field, .. } => (*segment, Some(*field)),
        };
        match (segment, field) {
            (SegRef::Other(id), _) if id != self.own => self.other(id),
            (_, Some(field)) if field <= FIELDS_MAX => self.reads.own.add(field),
            (_, Some(_)) => self.reads.beyond = true,
            (_, None) => {}
        }
    }

    fn other(&mut self, id: [u8; 3]) {
        let known = self.others.iter().position(|known| *known == id);
        let at = known.unwrap_or(self.others.len());
        if at >= OTHERS_MAX {
            self.reads.beyond = true;
            return;
        }
        if known.is_none() {
            self.others.push(id);
        }
        self.reads.others |= 1 << at;
    }
}

impl Reads {
    /// Adds what something else reads.
    pub(crate) const fn add(&mut self, other: Self) {
        self.own.0 |= other.own.0;
        self.others |= other.others;
        self.beyond |= other.beyond;
    }
}

impl Fields {
    /// The fields of both.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Their numbers, from the lowest.
    pub(crate) fn numbers(self) -> impl Iterator<Item = u32> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let lowest = (rest != 0).then(|| rest.trailing_zeros())?;
            rest &= rest - 1;
            Some(lowest)
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::maps::Maps;

    #[test]
    fn the_rows_of_a_result_stand_in_portions_of_their_own() {
        let maps = Maps::shipped().expect("maps");
        let map = maps
            .plan
            .maps
            .iter()
            .find(|map| map.name.to_string() == "OBX -> Observation");
        let map = map.expect("the map");
        let portions = &map.portions;
        let row_of = |field: u32| {
            let asks = |row: &&u32| map.asked[**row as usize] == field;
            let mut groups = portions.groups.iter();
            let group = groups.find(|group| group.rows.iter().any(|row| asks(&row)));
            let group = group.expect("a portion");
            let row = *group.rows.iter().find(asks).expect("a row");
            (group, portions.reads[row as usize])
        };
        // OBX-8 says how a value compares, and nothing else.
        let (group, reads) = row_of(8);
        assert_eq!(group.rows.len(), 1);
        assert_eq!(reads.all.own.numbers().collect::<Vec<_>>(), [8]);
        // A document in OBX-5 is told by its type, and what it holds is not looked into.
        let (group, _) = row_of(16);
        let attachment = group.rows.iter().find(|row| map.asked[**row as usize] == 5);
        let reads = portions.reads[*attachment.expect("a row") as usize];
        assert_eq!(reads.test.own.numbers().collect::<Vec<_>>(), [2]);
        assert!(reads.all.beyond && !reads.test.beyond);
        // Each row is in one portion.
        let rows = portions.groups.iter().flat_map(|group| group.rows.clone());
        let mut rows: Vec<u32> = rows.collect();
        rows.sort_unstable();
        assert!(rows.iter().zip(0..).all(|(row, at)| *row == at));
        assert_eq!(rows.len(), map.rows.len());
    }
}
