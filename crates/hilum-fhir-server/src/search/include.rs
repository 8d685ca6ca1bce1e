//! `_include` and `_revinclude` (FHIR R4 search.html#revinclude).

use hilum_fhir::definitions::{SearchParamKind, TypeId};
use hilum_fhir_store::ParamKey;

use super::key::{Refused, building};
use super::table::Table;

/// References to follow from matches, or towards them.
#[derive(Clone, Debug)]
pub(crate) struct Include {
    /// From the type of the resource that refers; none is every type (`*`).
    pub(crate) source: Option<TypeId>,
    /// By this parameter; by every one for `*`.
    pub(crate) param: Option<ParamKey>,
    /// To this type only.
    pub(crate) target: Option<TypeId>,
    /// From what was included as well.
    pub(crate) iterate: bool,
    /// Towards the matches.
    pub(crate) reverse: bool,
}

impl Include {
    /// Every reference of every resource, once.
    pub(crate) const EVERYTHING: Self = Self {
        source: None,
        param: None,
        target: None,
        iterate: false,
        reverse: false,
    };
}

/// Reads the value of a parameter `_include` or `_revinclude` with its modifier.
pub(crate) fn parse(
    table: &Table,
    name: &str,
    modifier: Option<&str>,
    value: &str,
) -> Result<Include, Refused> {
    let iterate = match modifier {
        None => false,
        // Its name before R4, which clients still send.
        Some("iterate" | "recurse") => true,
        Some(other) => {
            let text = format!("`{name}` has the modifier `:{other}`, it knows :iterate");
            return Err(Refused::unknown(text));
        }
    };
    let reverse = name == "_revinclude";
    let wrong = |text: &str| Refused::unknown(format!("`{name}` {text}"));
    if value == "*" {
        return Ok(Include {
            iterate,
            reverse,
            ..Include::EVERYTHING
        });
    }
    let mut parts = value.split(':');
    let (source, code, target) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let (Some(code), None) = (code, parts.next()) else {
        return Err(wrong("is written TYPE:PARAMETER or TYPE:PARAMETER:TARGET"));
    };
    let ty = |text: &str| {
        table
            .type_named(text)
            .ok_or_else(|| wrong(&format!("names the type `{text}`, which does not exist")))
    };
    let source = ty(source)?;
    let target = target.filter(|text| !text.is_empty()).map(ty).transpose()?;
    let param = if code == "*" {
        None
    } else {
        let known = table.param(source, code);
        let param = known.ok_or_else(|| {
            if table.building(source, code).is_some() {
                return building(table, source, code);
            }
            let near = crate::fault::suggestion(code, table.codes(source));
            wrong(&format!(
                "names the parameter `{code}`, which {} does not have{near}",
                table.name(source)
            ))
        })?;
        if param.def.kind != SearchParamKind::Reference {
            return Err(wrong(&format!("names `{code}`, which is no reference")));
        }
        if let Some(target) = target
            && !table.targets(param.def).contains(&target)
        {
            let name = table.name(target);
            return Err(wrong(&format!(
                "names `{code}`, which never refers to a {name}"
            )));
        }
        Some(param.key)
    };
    Ok(Include {
        source: Some(source),
        param,
        target,
        iterate,
        reverse,
    })
}
