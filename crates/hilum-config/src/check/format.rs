//! Texts with a meaning of their own: durations, expressions, names, files, secrets.

use hilum_component::{ComponentKind, Millis, Size, reply_options};
use hilum_fhirpath::{Expression, PathLiteral, WarningKind};

use super::{Checker, Use, UseKind, clipped};
use crate::diagnostic::{Draft, did_you_mean};
use crate::site::SecretState;
use crate::yaml::{Node, Span, Style};

/// Longest name of a channel, system, destination, topic or field.
const NAME_CHARS_MAX: usize = 64;
/// What `order:` may name instead of an expression.
pub(crate) const ORDER_DOMAINS: [&str; 4] = ["patient", "visit", "order", "channel"];

impl Checker<'_> {
    pub(super) fn format(&mut self, node: &Node, text: &str, format: &str) {
        match format {
            "duration" => self.quantity("E0110", node, Millis::parse(text).err()),
            "size" => self.quantity("E0111", node, Size::parse(text).err()),
            "expression" => self.expression(node, text),
            "path" => self.path(node, text),
            "system" => self.system(node, text),
            "system-group" => self.group(node, text),
            "site-file" => self.file(node, text),
            "secret" => self.secret(node, text),
            "name" | "topic" => self.name(node, text),
            "address" => self.address(node, text),
            "destination" => self.destination(node, text),
            "message-format" => self.message_format(node, text),
            "order" => self.order(node, text),
            // Formats of JSON schema itself (`uint16`, `date-time`) are bounded by other keywords.
            _ => {}
        }
    }

    fn used(&mut self, kind: UseKind, node: &Node, text: &str, paths: Vec<String>) {
        let at = self.at.clone();
        self.found.uses.push(Use {
            kind,
            text: text.to_owned(),
            paths,
            at,
            span: node.span,
        });
    }

    fn quantity(&mut self, code: &'static str, node: &Node, wrong: Option<String>) {
        let Some(expected) = wrong else { return };
        let what = if code == "E0110" { "duration" } else { "size" };
        self.report
            .push(Draft::error(code, node.span, format!("not a {what}")).remedy(expected));
    }

    fn expression(&mut self, node: &Node, text: &str) {
        let Some(format) = self.scope.format else {
            return;
        };
        let original = self.scope.original.map(|format| &**format);
        let options = reply_options(format.dialect(), original);
        match Expression::compile(text, &options) {
            Ok(expression) => {
                let paths = expression
                    .literals()
                    .map(|found| found.literal.text.clone())
                    .collect();
                self.used(UseKind::Expression, node, text, paths);
                for found in expression.literals() {
                    self.doubt(node.part(found.span), found.literal);
                }
                for warning in expression.warnings() {
                    let code = match warning.kind {
                        WarningKind::MixedIndexes => "W0304",
                        WarningKind::EqualsOverRepeating => "W0305",
                        WarningKind::NotEqualsOverOptional => "W0306",
                        WarningKind::NameForText => "W0309",
                        _ => "W0307",
                    };
                    let draft = Draft::warning(code, node.part(&warning.span), &warning.message);
                    self.report.push(draft.remedy(&warning.hint));
                }
                self.constant(node, text);
                self.subtraction(node, text);
            }
            Err(error) => {
                let message = format!("not an expression: {}", error.message);
                let hint = error.hint.or_else(|| self.dotted(text, error.span.start));
                let hint = hint.or_else(|| {
                    Some(
                        "paths and functions of FHIRPath; a text constant is written \"'EHR'\""
                            .to_owned(),
                    )
                });
                let draft = Draft::error("E0112", node.part(&error.span), message);
                self.report.push(draft.maybe_remedy(hint));
            }
        }
    }

    /// `OBX.11`, where `OBX-11` was meant.
    fn dotted(&self, text: &str, at: usize) -> Option<String> {
        let dialect = self.scope.format.and_then(|format| format.dialect())?;
        let (before, rest) = (text.get(..at)?.strip_suffix('.')?, text.get(at..)?);
        let in_word = |c: char| c.is_ascii_alphanumeric() || "[].".contains(c);
        let segment = before.rsplit(|c| !in_word(c)).next()?;
        let end = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
        let meant = format!("{segment}-{}", rest.get(..end)?);
        let (length, _) = dialect.literal(&meant)?;
        (length == meant.len()).then(|| format!("did you mean `{meant}`?"))
    }

    /// A path that nothing of the standard answers to is likely misspelt.
    fn doubt(&mut self, span: Span, literal: &PathLiteral) {
        let dialect = self.scope.format.and_then(|format| format.dialect());
        if let Some(message) = dialect.and_then(|dialect| dialect.doubt(literal)) {
            self.report.push(Draft::warning("W0314", span, message));
        }
    }

    /// `pid-3` is the element `pid` less three, where `PID-3` was meant.
    fn subtraction(&mut self, node: &Node, text: &str) {
        let Some(dialect) = self.scope.format.and_then(|format| format.dialect()) else {
            return;
        };
        let length = |text: &str| dialect.literal(text).map_or(0, |(length, _)| length);
        let in_word = |c: char| c.is_ascii_alphanumeric() || "-.[]%$_".contains(c);
        // Every second part stands in quotes.
        for part in text.split('\'').step_by(2) {
            for word in part.split(|c| !in_word(c)) {
                let meant = word.to_ascii_uppercase();
                let (end, minus) = (length(&meant), word.find('-'));
                if minus.is_none_or(|minus| end <= minus) || length(word) == end {
                    continue;
                }
                let (Some(written), Some(meant)) = (word.get(..end), meant.get(..end)) else {
                    continue;
                };
                let message = format!("`{written}` is read as a subtraction");
                let draft = Draft::warning("W0314", node.span, message);
                self.report
                    .push(draft.remedy(format!("did you mean `{meant}`?")));
            }
        }
    }

    /// A lone word is a path of FHIRPath; in a message of segments and fields it was likely meant
    /// as a constant.
    fn constant(&mut self, node: &Node, text: &str) {
        let word = text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let dialect = self.scope.format.and_then(|format| format.dialect());
        let literal = dialect.and_then(|dialect| dialect.literal(text)).is_some();
        let lone = word && dialect.is_some() && !literal && !matches!(text, "true" | "false");
        if lone
            && node
                .scalar()
                .is_some_and(|scalar| scalar.style != Style::Block)
        {
            let message = format!("`{text}` is read as the name of an element, not as text");
            let draft = Draft::warning("W0309", node.span, message);
            self.report
                .push(draft.remedy(format!("a text constant is written \"'{text}'\"")));
        }
    }

    fn path(&mut self, node: &Node, text: &str) {
        let Some(format) = self.scope.format else {
            return;
        };
        // A value beside the message is written under its name.
        let beside = text
            .strip_prefix("meta.")
            .is_some_and(|name| !name.is_empty());
        if beside {
            self.used(UseKind::Path, node, text, vec![text.to_owned()]);
            return;
        }
        if let Err(message) = format.target(text) {
            let text = format!("`{}` is no place to write to: {message}", clipped(text));
            self.report.push(Draft::error("E0113", node.span, text));
        } else if let Some((_, literal)) = format.dialect().and_then(|d| d.literal(text)) {
            self.doubt(node.span, &literal);
        }
        self.used(UseKind::Path, node, text, vec![text.to_owned()]);
    }

    fn system(&mut self, node: &Node, text: &str) {
        self.used(UseKind::System, node, text, Vec::new());
        let systems = self.scope.site.systems();
        if systems.contains_key(text) {
            return;
        }
        let names = systems.keys().map(String::as_str);
        let remedy = match crate::diagnostic::closest(text, names.clone()) {
            Some(name) => {
                let file = systems.get(name).map_or("", |system| &system.file);
                Some(format!("did you mean `{name}`? ({file})"))
            }
            None if systems.is_empty() => Some(format!("write systems/{}.yaml", clipped(text))),
            None => did_you_mean(text, "known systems", names),
        };
        let message = format!("no such system `{}`", clipped(text));
        self.report
            .push(Draft::error("E0107", node.span, message).maybe_remedy(remedy));
    }

    /// A group stands for each of its systems.
    fn group(&mut self, node: &Node, text: &str) {
        let systems = self.scope.site.systems();
        let of_group = systems
            .iter()
            .filter(|(_, system)| system.info.group.as_deref() == Some(text));
        let names: Vec<&String> = of_group.map(|(name, _)| name).collect();
        for name in names {
            self.used(UseKind::System, node, name, Vec::new());
        }
    }

    fn file(&mut self, node: &Node, text: &str) {
        self.used(UseKind::File, node, text, Vec::new());
        let Err(error) = self.scope.site.read_file(text) else {
            return;
        };
        let code = if error.outside { "E0115" } else { "E0114" };
        let remedy = if error.outside {
            Some("name a file of the site's folder, such as tables/codes.csv".to_owned())
        } else {
            let folder = text.rsplit_once('/').map_or("", |(folder, _)| folder);
            let beside = self.scope.site.list(folder);
            let known = beside.iter().map(String::as_str);
            did_you_mean(text, "files there", known)
                .or_else(|| Some("paths begin at the folder of the site".to_owned()))
        };
        let message = format!("cannot read `{}`: {}", clipped(text), error.message);
        self.report
            .push(Draft::error(code, node.span, message).maybe_remedy(remedy));
    }

    fn secret(&mut self, node: &Node, text: &str) {
        match self.scope.site.secret_state(text) {
            SecretState::Present => self.used(UseKind::Secret, node, text, Vec::new()),
            SecretState::Literal => self.report.push(Draft::clear_secret(node.span)),
            SecretState::Absent(reason) => {
                self.used(UseKind::Secret, node, text, Vec::new());
                self.report
                    .push(Draft::absent_secret(node.span, text, &reason));
            }
        }
    }

    fn name(&mut self, node: &Node, text: &str) {
        let good = !text.is_empty()
            && text.len() <= NAME_CHARS_MAX
            && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && text
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.'));
        if !good {
            let message = format!("`{}` cannot be a name", clipped(text));
            let remedy = format!(
                "small letters, digits, - and ., beginning with a letter or digit, at most {NAME_CHARS_MAX} characters"
            );
            self.report
                .push(Draft::error("E0119", node.span, message).remedy(remedy));
        }
    }

    fn address(&mut self, node: &Node, text: &str) {
        if parse_address(text).is_none() {
            let message = format!("`{}` is no address", clipped(text));
            let draft = Draft::error("E0120", node.span, message);
            self.report
                .push(draft.remedy("write HOST:PORT, such as 127.0.0.1:2575 or [::1]:2575"));
        }
    }

    fn message_format(&mut self, node: &Node, text: &str) {
        let known = self
            .scope
            .registry
            .of_kind(ComponentKind::Format)
            .map(|spec| spec.name);
        let names: Vec<&str> = known.collect();
        if !names.contains(&text) {
            let message = format!("no such format `{}`", clipped(text));
            let remedy = did_you_mean(text, "known formats", names);
            self.report
                .push(Draft::error("E0205", node.span, message).maybe_remedy(remedy));
        }
    }

    fn order(&mut self, node: &Node, text: &str) {
        if ORDER_DOMAINS.contains(&text) {
            return;
        }
        // A lone word in small letters is a domain that does not exist rather than an expression.
        if text.chars().all(|c| c.is_ascii_lowercase() || c == '-') {
            let message = format!("no such order domain `{}`", clipped(text));
            let remedy = did_you_mean(text, "domains", ORDER_DOMAINS);
            self.report
                .push(Draft::error("E0211", node.span, message).maybe_remedy(remedy));
            return;
        }
        self.expression(node, text);
    }

    fn destination(&mut self, node: &Node, text: &str) {
        if self.scope.destinations.iter().any(|known| known == text) {
            return;
        }
        let names = self.scope.destinations.iter().map(String::as_str);
        let message = format!("no such destination `{}` in this channel", clipped(text));
        let remedy = did_you_mean(text, "its destinations", names);
        self.report
            .push(Draft::error("E0203", node.span, message).maybe_remedy(remedy));
    }
}

/// Host and port of an address.
pub(crate) fn parse_address(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').filter(|v6| v6.contains(':'))?,
        None if host.contains(':') => return None,
        None => host,
    };
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '_' | '%');
    (!bare.is_empty() && bare.chars().all(good)).then_some((bare, port))
}
