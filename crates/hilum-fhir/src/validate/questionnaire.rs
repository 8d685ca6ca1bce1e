//! Questionnaires and the answers to them (FHIR R4 questionnaireresponse.html).

use std::sync::Arc;

use hilum_fhirpath::{Expression, Options};

use super::Check;
use crate::problem::IssueType;
use crate::resource::{Node, Resource};

/// The extension in which some authors write enableWhen as an expression.
const ENABLED_BY_EXPRESSION: &str = "questionnaire-enablewhen";

/// Levels of items that are followed.
const DEPTH_MAX: usize = 40;

impl Check<'_> {
    /// The condition of an item asks for an item outside of it.
    pub(super) fn questionnaire_item(&mut self, item: Node<'_>) {
        for condition in item.children_named("enableWhen") {
            let Some(question) = condition.child_text("question") else {
                continue;
            };
            if is_below(item, question, DEPTH_MAX) {
                let text = "enableWhen cannot ask for an item inside of its own";
                self.error(IssueType::BusinessRule, item, text);
            }
        }
    }

    /// Checks answers against the Questionnaire, where that is known.
    pub(super) fn questionnaire_response(&mut self, response: Node<'_>) {
        let Some(url) = response.child_text("questionnaire") else {
            return;
        };
        if let Some(id) = url.strip_prefix('#') {
            let mut contained = response.children_named("contained");
            if let Some(inner) = contained.find(|inner| inner.child_text("id") == Some(id)) {
                self.items(response, response, inner, DEPTH_MAX);
            }
            return;
        }
        let known: Option<Arc<Resource>> = self.request.resolver.canonical(url);
        if let Some(known) = known.filter(|known| known.type_name() == "Questionnaire") {
            self.items(response, response, known.root(), DEPTH_MAX);
        }
    }

    /// Checks the items below a place of the response against those below a place of the
    /// Questionnaire.
    fn items(&mut self, response: Node<'_>, at: Node<'_>, asked: Node<'_>, depth: usize) {
        if depth == 0 {
            return;
        }
        let status = response.child_text("status").unwrap_or_default();
        for item in at.children_named("item") {
            let id = item.child_text("linkId");
            let mut questions = asked.children_named("item");
            let Some(question) = questions.find(|q| q.child_text("linkId") == id) else {
                let text = "the Questionnaire has no such item here";
                self.error(IssueType::NotFound, item, text);
                continue;
            };
            let answered = item.children_named("answer").next().is_some();
            if answered && !self.is_enabled(response, item, question) {
                let text = "answered, though the item is not enabled";
                self.error(IssueType::BusinessRule, item, text);
            }
            self.answers(item, question);
            self.items(response, item, question, depth - 1);
            for answer in item.children_named("answer") {
                if answer.child("item").is_some() {
                    self.items(response, answer, question, depth - 1);
                }
            }
        }
        if status != "completed" && status != "amended" {
            return;
        }
        for question in asked.children_named("item") {
            let needed = question.child_text("required") == Some("true");
            let id = question.child_text("linkId");
            let mut given = at.children_named("item");
            let answered = given.any(|item| {
                item.child_text("linkId") == id
                    && (item.child("answer").is_some() || item.child("item").is_some())
            });
            if needed && !answered && self.is_enabled(response, at, question) {
                let text = "a required item has no answer";
                self.error(IssueType::Required, at, text);
            }
        }
    }

    fn answers(&mut self, item: Node<'_>, question: Node<'_>) {
        let kind = question.child_text("type").unwrap_or_default();
        let repeats = question.child_text("repeats") == Some("true");
        if !repeats && item.children_named("answer").count() > 1 {
            let text = "more than one answer to a question that does not repeat";
            self.error(IssueType::Structure, item, text);
        }
        for answer in item.children_named("answer") {
            let Some(value) = answer.child("value") else {
                continue;
            };
            if !allowed(kind).contains(&value.type_name()) {
                let text = format!("a question of type {kind} has no answer of this type");
                self.error(IssueType::Structure, answer, text);
            } else if value.type_name() == "Coding" && !is_option(value, question) {
                let text = "not one of the answers that the question allows";
                self.error(IssueType::CodeInvalid, answer, text);
            }
        }
    }

    /// Whether the conditions of an item hold, seen from where it is answered.
    fn is_enabled(&self, response: Node<'_>, at: Node<'_>, question: Node<'_>) -> bool {
        for extension in question.children_named("extension") {
            let url = extension.child_text("url").unwrap_or_default();
            if url.ends_with(ENABLED_BY_EXPRESSION)
                && let Some(text) = extension.child_text("value")
                && let Ok(expression) = Expression::compile(text, &Options::default())
                && let Ok(answer) = self.holds(response, &expression)
            {
                return answer;
            }
        }
        let mut conditions = question.children_named("enableWhen").peekable();
        if conditions.peek().is_none() {
            return true;
        }
        let holds = |condition: Node<'_>| condition_holds(at, condition);
        match question.child_text("enableBehavior") {
            Some("all") => conditions.all(holds),
            _ => conditions.any(holds),
        }
    }
}

fn is_below(item: Node<'_>, link_id: &str, depth: usize) -> bool {
    depth > 0
        && item.children_named("item").any(|inner| {
            inner.child_text("linkId") == Some(link_id) || is_below(inner, link_id, depth - 1)
        })
}

/// The types of values that a question of a type takes.
fn allowed(kind: &str) -> &'static [&'static str] {
    match kind {
        "boolean" => &["boolean"],
        "decimal" => &["decimal"],
        "integer" => &["integer"],
        "date" => &["date"],
        "dateTime" => &["dateTime"],
        "time" => &["time"],
        "string" | "text" => &["string"],
        "url" => &["uri"],
        "choice" => &["Coding", "date", "time", "integer", "string"],
        "open-choice" => &["Coding", "date", "time", "integer", "string"],
        "attachment" => &["Attachment"],
        "reference" => &["Reference"],
        "quantity" => &["Quantity"],
        _ => &[],
    }
}

/// Whether a Coding is among the options; without options anything is.
fn is_option(value: Node<'_>, question: Node<'_>) -> bool {
    let mut options = question.children_named("answerOption").peekable();
    options.peek().is_none()
        || options
            .filter_map(|option| option.child("value"))
            .any(|option| {
                option.child_text("code") == value.child_text("code")
                    && option.child_text("system") == value.child_text("system")
            })
}

/// Whether an answer that a condition asks for is there: nearest first, from the item outwards.
fn condition_holds(at: Node<'_>, condition: Node<'_>) -> bool {
    let Some(question) = condition.child_text("question") else {
        return false;
    };
    let around = std::iter::once(at).chain(at.ancestors());
    let mut found = Vec::new();
    for place in around {
        gather(place, question, &mut found, DEPTH_MAX);
        if !found.is_empty() || place.is_resource() {
            break;
        }
    }
    let values: Vec<Node<'_>> = found
        .iter()
        .flat_map(|item| item.children_named("answer"))
        .filter_map(|answer| answer.child("value"))
        .collect();
    let Some(wanted) = condition.child("answer") else {
        return false;
    };
    let compare = |operator: &str| {
        let one = |value: &Node<'_>| super::compare::holds(*value, operator, wanted);
        values.iter().any(one)
    };
    let same = |value: &Node<'_>| same_answer(*value, wanted);
    match condition.child_text("operator") {
        Some("exists") => (wanted.text() == Some("true")) != values.is_empty(),
        Some("=") => values.iter().any(same),
        Some("!=") => !values.is_empty() && !values.iter().any(same),
        Some(">") => compare(">"),
        Some("<") => compare("<"),
        Some(">=") => compare(">") || values.iter().any(same),
        Some("<=") => compare("<") || values.iter().any(same),
        _ => false,
    }
}

fn same_answer(value: Node<'_>, wanted: Node<'_>) -> bool {
    if wanted.type_name() == "Coding" {
        return value.child_text("code") == wanted.child_text("code")
            && value.child_text("system") == wanted.child_text("system");
    }
    super::given::fits(value, wanted, crate::profile::Fit::AtLeast, DEPTH_MAX)
}

fn gather<'r>(at: Node<'r>, link_id: &str, into: &mut Vec<Node<'r>>, depth: usize) {
    if depth == 0 {
        return;
    }
    for child in at.children() {
        if child.name() == "item" {
            if child.child_text("linkId") == Some(link_id) {
                into.push(child);
            }
            gather(child, link_id, into, depth - 1);
        } else if child.name() == "answer" {
            gather(child, link_id, into, depth - 1);
        }
    }
}
