//! Names of files from templates: whatever the values are, the file stays in its folder.

use hilum_component::{Delivery, Format};

/// The longest name, below the 255 bytes of common file systems, so that a number fits.
const NAME_BYTES_MAX: usize = 200;

/// A compiled template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NameTemplate {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Id,
    ControlId,
    Channel,
    Date,
    Time,
    Meta(String),
}

impl NameTemplate {
    /// Reads a template; the error says what is wrong and what may be written.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.contains(['/', '\\']) {
            return Err("a name stays in its folder: it has no `/` and no `\\`".to_owned());
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (key, after) = after.split_once('}').ok_or("a `{` without its `}`")?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(match key {
                "id" => Part::Id,
                "control-id" => Part::ControlId,
                "channel" => Part::Channel,
                "date" => Part::Date,
                "time" => Part::Time,
                _ => match key.strip_prefix("meta.") {
                    Some(name) if !name.is_empty() => Part::Meta(name.to_owned()),
                    Some(_) | None => return Err(format!("no such value `{{{key}}}`")),
                },
            });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        if parts.is_empty() {
            return Err("a name has at least one character".to_owned());
        }
        Ok(Self { parts })
    }

    /// The name for a delivery; `None` if nothing of it is left.
    pub(super) fn render(&self, delivery: &Delivery, format: &dyn Format) -> Option<String> {
        let mut name = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Id => name.push_str(&delivery.id.to_string()),
                Part::ControlId => {
                    let document = format.parse(&delivery.payload).ok();
                    let identity = document.map(|document| format.identify(&*document));
                    let id = identity.and_then(|identity| identity.control_id);
                    name.push_str(&clean(&id.unwrap_or_else(|| delivery.id.to_string())));
                }
                Part::Channel => name.push_str(&clean(&delivery.channel)),
                Part::Date => name.push_str(&moment(delivery, "%Y%m%d")),
                Part::Time => name.push_str(&moment(delivery, "%H%M%S")),
                Part::Meta(key) => {
                    name.push_str(&clean(delivery.metadata.get(key).unwrap_or_default()))
                }
            }
        }
        finished(&name)
    }
}

fn moment(delivery: &Delivery, form: &str) -> String {
    let ms = i64::try_from(delivery.arrived_ms).unwrap_or(i64::MAX);
    let timestamp = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    timestamp.strftime(form).to_string()
}

fn clean(value: &str) -> String {
    let keep = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    value
        .chars()
        .map(|c| if keep(c) { c } else { '_' })
        .collect()
}

/// A name cannot begin with a dot, so it is neither hidden nor `..`, and is short enough.
fn finished(name: &str) -> Option<String> {
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    let name = name
        .trim_start_matches(['.', ' '])
        .trim_end_matches(['.', ' ']);
    if name.len() <= NAME_BYTES_MAX {
        return (!name.is_empty()).then(|| name.to_owned());
    }
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if extension.len() <= 16 => (stem, extension),
        Some(_) | None => (name, ""),
    };
    let mut end = NAME_BYTES_MAX - extension.len() - 1;
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    let stem = stem.get(..end)?;
    Some(if extension.is_empty() {
        stem.to_owned()
    } else {
        format!("{stem}.{extension}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_never_leave_the_folder() {
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(finished(&clean(name)).as_deref(), expected, "{name}");
        };
        check("a.hl7", Some("a.hl7"));
        check("../../etc/passwd", Some("_.._etc_passwd"));
        check("..", None);
        check("", None);
        check(".hidden", Some("hidden"));
        check("a/b\\c\0d", Some("a_b_c_d"));
        check("Müller", Some("Müller"));
        let long = finished(&format!("{}.hl7", "ü".repeat(300))).unwrap();
        assert!(
            long.len() <= NAME_BYTES_MAX && long.ends_with("ü.hl7"),
            "{long}"
        );
    }

    #[test]
    fn templates_are_checked() {
        for (text, expected) in [
            ("../{id}", "stays in its folder"),
            ("a\\b", "stays in its folder"),
            ("{id", "without its"),
            ("{PID-5}", "no such value `{PID-5}`"),
            ("{meta.}", "no such value"),
            ("", "at least one"),
        ] {
            let error = NameTemplate::parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert!(NameTemplate::parse("{date}-{meta.ward}-{id}.hl7").is_ok());
    }
}
