//! The codes that a path selects in a message, and where what is known of them is written.
//!
//! In HL7 v2 a path that ends at a coded field (CE, CWE, CNE, CF) stands for its first three
//! components; a Coding or a CodeableConcept of FHIR stands for its codes and their systems. Any
//! other path stands for a plain code.

use std::sync::Arc;

use hilum_codes::Coding;
use hilum_component::{
    BuildContext, CodeSystem, Expr, Format, Problem, Rule, StepContext, TraceLine, Working,
};
use hilum_component::{Halted, Held, PathText};
use hilum_fhirpath::{NodeId, Tree};
use hilum_hl7v2::{Message, Path};
use hilum_message::Phi;

use crate::settings::{Problems, not_evaluated, not_written};
use crate::systems::Systems;
use crate::translate::{text_of, v2};
use crate::unmapped::{Absent, Unmapped};

/// What stands before the name of a value beside the message.
pub(crate) const META: &str = "meta.";

/// Codes that one path may stand for within another: a CodeableConcept has codings.
const LEVELS: usize = 1;

/// The codes that a step is about.
pub(crate) struct Codes {
    field: Rule,
    /// The expression of the field, as it was written.
    pub(crate) path: String,
    systems: Systems,
}

/// A code of a message.
pub(crate) struct Found {
    /// Code, text and system as the message has them.
    pub(crate) from: Coding,
    /// Where it stands, in the words of the format.
    pub(crate) location: String,
    /// The URL of its system; `None` if neither message nor step say.
    pub(crate) url: Option<String>,
    /// Where its text belongs.
    text: Option<String>,
    /// In HL7 v2: the segment it stands in.
    segment: Option<String>,
}

impl Codes {
    /// Reads what a step is set by; what is wrong is noted.
    pub(crate) fn of(
        context: &BuildContext<'_>,
        field: &Expr,
        fallback: Option<String>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let rule = problems.keep(context.rule(&["field"], field.as_str()))?;
        Some(Self {
            field: rule,
            path: field.as_str().to_owned(),
            systems: Systems::of(context, fallback),
        })
    }

    /// The codes of a message.
    pub(crate) fn found(
        &self,
        message: &Working,
        context: &StepContext<'_>,
    ) -> Result<Vec<Found>, Halted> {
        let tree = message.document.tree();
        let selected = self
            .field
            .expression()
            .evaluate(tree, tree.root(), context.env);
        let selected = selected.map_err(|error| not_evaluated("field", &error.to_string()))?;
        let nodes: Vec<NodeId> = selected.nodes().collect();
        let mut found: Vec<Found> = if message.document.as_any().is::<Message>() {
            let places = v2::places(&*message.document, &nodes);
            places.into_iter().map(v2::Place::into_found).collect()
        } else {
            let mut found = Vec::new();
            for node in nodes {
                in_tree(tree, node, LEVELS, &mut found);
            }
            found
        };
        for one in &mut found {
            one.url = self.systems.url(&message.metadata, &one.from.system);
        }
        Ok(found)
    }

    /// Whether a code is one of a system. One of another system is left alone; with one that the
    /// system does not have is done what is set for such codes.
    pub(crate) fn is_in(
        &self,
        one: &Found,
        system: &dyn CodeSystem,
        unknown: Unmapped,
        context: &mut StepContext<'_>,
    ) -> Result<bool, Halted> {
        if one.url.as_deref() != Some(system.url()) {
            one.note(context, None, format!("not of {}", system.name()));
            return Ok(false);
        }
        let held = system.holds(&one.from.code);
        if held == Held::In {
            return Ok(true);
        }
        one.note(context, None, format!("not in {}", system.name()));
        let absent = Absent {
            table: system.name(),
            field: &self.path,
            location: &one.location,
            from: &one.from,
            finding: "code-unknown",
            text: match held {
                Held::Unknown => ("nobody can tell whether", "has"),
                Held::In | Held::Out => ("the code system", "does not have"),
            },
            has_default: false,
        };
        unknown.meet(&absent, context)?;
        Ok(false)
    }
}

impl Found {
    /// A code at a place; `text` is where its text belongs.
    pub(crate) const fn new(
        from: Coding,
        location: String,
        text: Option<String>,
        segment: Option<String>,
    ) -> Self {
        Self {
            from,
            location,
            url: None,
            text,
            segment,
        }
    }

    /// A line of the trace about it.
    pub(crate) fn note(&self, context: &mut StepContext<'_>, after: Option<String>, note: String) {
        context.note(|step| TraceLine {
            step: step.to_owned(),
            path: Some(self.location.clone()),
            before: Some(Phi::new(self.from.code.clone())),
            after: after.map(Phi::new),
            note,
        });
    }
}

/// The codes at a node of a document that is a tree.
fn in_tree(tree: &dyn Tree, node: NodeId, levels: usize, found: &mut Vec<Found>) {
    let location = tree.location(node);
    if let Some(code) = text_of(tree.value(node)) {
        let from = Coding {
            code,
            ..Coding::default()
        };
        found.push(Found::new(from, location, None, None));
        return;
    }
    let child = |name: &str| {
        let mut text = None;
        let mut visit = |node| text = text.take().or_else(|| text_of(tree.value(node)));
        tree.children(node, name, &mut visit);
        text.unwrap_or_default()
    };
    let from = Coding {
        code: child("code"),
        display: child("display"),
        system: child("system"),
    };
    if !from.code.is_empty() {
        let text = format!("{location}.display");
        found.push(Found::new(from, location, Some(text), None));
        return;
    }
    let mut codings = Vec::new();
    tree.children(node, "coding", &mut |node| codings.push(node));
    for coding in codings.into_iter().filter(|_| levels > 0) {
        in_tree(tree, coding, levels - 1, found);
    }
}

/// Where a step writes what it found out.
pub(crate) enum To {
    /// Where the text of the code belongs.
    Text(Arc<dyn Format>),
    /// A field of the segment of the code.
    Field(u32),
    /// A named value beside the message.
    Meta(Arc<str>),
}

impl To {
    /// Reads the target of a step that writes beside each code or beside the message.
    pub(crate) fn of(context: &BuildContext<'_>, to: Option<&PathText>) -> Result<Self, Problem> {
        let Some(to) = to.map(PathText::as_str) else {
            return Ok(Self::Text(Arc::clone(context.format)));
        };
        if to.starts_with(META) {
            return meta_name("to", to).map(Self::Meta);
        }
        let refuse = || {
            let text = "`meta.NAME` is needed, or in HL7 v2 a field of the segment of the code, \
                        such as OBX-15";
            Problem::at(&["to"], text)
        };
        let path = Path::parse(to)
            .ok()
            .filter(|_| context.format.name() == "hl7v2");
        let field = path.and_then(|path| path.field().map(|field| field.field));
        field.map(Self::Field).ok_or_else(refuse)
    }

    /// Writes what was found out of one code; what goes beside the message is left to the caller.
    pub(crate) fn write(
        &self,
        message: &mut Working,
        of: &Found,
        value: &str,
    ) -> Result<(), Halted> {
        let plain = || {
            let text = "a plain code has no text beside it; name a place with `to`";
            Halted::Reject {
                code: "207".to_owned(),
                path: Some(of.location.clone()),
                text: text.to_owned(),
            }
        };
        let (path, format) = match self {
            Self::Meta(_) => return Ok(()),
            Self::Field(field) => {
                let segment = of.segment.as_deref().unwrap_or_default();
                (format!("{segment}-{field}.1"), None)
            }
            Self::Text(format) => (of.text.clone().ok_or_else(plain)?, Some(format)),
        };
        if let Some(v2) = message.document.as_any_mut().downcast_mut::<Message>() {
            return v2::set(v2, &path, value).map_err(not_written);
        }
        let format = format.ok_or_else(plain)?;
        let target = format.target(&path).map_err(Halted::reject)?;
        let written = message.document.set(&target, &[value.to_owned()]);
        written.map_err(not_written)
    }
}

/// The name behind `meta.`; `key` is what the place is set by.
pub(crate) fn meta_name(key: &str, path: &str) -> Result<Arc<str>, Problem> {
    let Some(name) = path.strip_prefix(META) else {
        return Err(Problem::at(
            &[key],
            "a value beside the message is needed, `meta.NAME`",
        ));
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || !name.chars().all(plain) {
        return Err(Problem::at(
            &[key],
            "a name of letters, digits, `-`, `_` and `.` is needed",
        ));
    }
    Ok(name.into())
}

/// Sets a value beside the message, or takes it away, with a line of the trace.
pub(crate) fn set_meta(
    message: &mut Working,
    context: &mut StepContext<'_>,
    name: &Arc<str>,
    value: Option<String>,
    note: &str,
) {
    context.note(|step| TraceLine {
        step: step.to_owned(),
        path: Some(format!("{META}{name}")),
        before: message
            .metadata
            .get(name)
            .map(|text| Phi::new(text.to_owned())),
        after: value.clone().map(Phi::new),
        note: note.to_owned(),
    });
    match value {
        Some(value) => message.metadata.set(Arc::clone(name), value),
        None => message.metadata.remove(name),
    }
}
