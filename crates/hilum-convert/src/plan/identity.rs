//! Rows of the identity.

use hilum_fhir::definitions::Definitions;

use super::compile::Compiler;
use super::condition::condition;
use super::merge::Filed;
use super::source::Reading;
use super::target::{Places, type_named};
use super::{IdentityDef, KeyDef, PlaceStep};
use crate::problem::Fault;
use crate::text::{IdentityRow, Key, Step, Target};

pub(super) fn compile(compiler: &mut Compiler<'_>) {
    let all = compiler.all;
    for row in &all.identity {
        identity(compiler, row);
    }
}

fn identity(compiler: &mut Compiler<'_>, (file, entry): &Filed<IdentityRow>) {
    let row = &entry.row;
    let reading = Reading {
        of: String::new(),
        is_segment: true,
        own: None,
    };
    let made = (|| {
        let child = type_named(&row.resource, 0).map_err(|fault| (0, fault))?;
        let key = match &row.key {
            Key::None => KeyDef::None,
            Key::Content => KeyDef::Content,
            Key::Join(parts) => KeyDef::Join(reading.join(parts).map_err(|fault| (1, fault))?),
            Key::Element(of) => {
                let mut places = Places::new(child);
                let place = places.place(of).map_err(|fault| (1, fault))?;
                let mut way = Vec::new();
                let mut at = place;
                while let Some(def) = places.get(at).filter(|_| at != 0) {
                    if matches!(def.step, PlaceStep::Refer { .. } | PlaceStep::Back { .. }) {
                        return Err((1, Fault::new(0, &of.text, "a key lies within the resource")));
                    }
                    way.push(def.child);
                    at = def.parent;
                }
                way.reverse();
                let identifier = Definitions::r4().type_named("Identifier");
                if way.last().map(|child| child.ty) != identifier {
                    return Err((1, Fault::new(0, &of.text, "a key is an Identifier")));
                }
                KeyDef::Element(way, kind_of(of))
            }
        };
        let test = row.condition.as_ref().map(|test| condition(&reading, test));
        let condition = test.transpose().map_err(|fault| (2, fault))?;
        Ok(IdentityDef {
            ty: child.ty,
            key,
            condition,
            how: row.how,
        })
    })();
    match made {
        Ok(row) => compiler.plan.identity.push(row),
        Err((column, fault)) => compiler.row_fault(*file, entry, column, fault),
    }
}

/// The code of the type of Identifier that a key is: `identifier[FILL]`.
fn kind_of(key: &Target) -> Option<Box<str>> {
    match &key.steps.last()?.step {
        Step::Element { slot, .. } => slot.as_deref().map(Box::from),
        _ => None,
    }
}
