//! From text to trees.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScanError, StrInput};

use super::{FileId, Files, Key, Kind, Node, Scalar, SourceFile, Span, Style};
use crate::diagnostic::Draft;

/// Largest YAML file, in bytes.
pub const FILE_BYTES_MAX: usize = 1_048_576;
/// Deepest nesting of lists and maps.
pub const DEPTH_MAX: usize = 48;
/// Most scalars, lists and maps of one file.
pub const NODES_MAX: usize = 200_000;

/// The documents of a file; those before an error that ends the file are kept.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    /// One tree for each document.
    pub(crate) documents: Vec<Node>,
    /// What is wrong.
    pub(crate) problems: Vec<Draft>,
}

/// Parses a file that [`Files::add`] took.
#[must_use]
pub(crate) fn parse(files: &Files, id: FileId) -> Parsed {
    let Some(file) = files.get(id).cloned() else {
        return Parsed::default();
    };
    let mut builder = Builder::new(id, &file);
    let mut parsed = Parsed::default();
    let start = Span {
        file: id,
        start: 0,
        end: 0,
    };
    if file.text.len() > FILE_BYTES_MAX {
        let text = format!(
            "the file has {} bytes, more than the {FILE_BYTES_MAX} that are read",
            file.text.len()
        );
        parsed.problems.push(
            Draft::error("E0004", start, text).remedy("divide it, or move tables to a CSV file"),
        );
        return parsed;
    }
    match builder.stream() {
        Ok(documents) => parsed.documents = documents,
        Err(draft) => builder.problems.push(*draft),
    }
    parsed.problems = builder.problems;
    parsed
}

type Outcome<T> = Result<T, Box<Draft>>;

struct Builder<'f> {
    id: FileId,
    file: &'f SourceFile,
    parser: Parser<'f, StrInput<'f>>,
    /// The byte of each character; empty where all are ASCII.
    bytes: Vec<u32>,
    nodes: usize,
    problems: Vec<Draft>,
}

impl<'f> Builder<'f> {
    fn new(id: FileId, file: &'f SourceFile) -> Self {
        let bytes = if file.text.is_ascii() {
            Vec::new()
        } else {
            let all = file
                .text
                .char_indices()
                .map(|(at, _)| at)
                .chain([file.text.len()]);
            all.filter_map(|at| u32::try_from(at).ok()).collect()
        };
        let parser = Parser::new_from_str(&file.text);
        Self {
            id,
            file,
            parser,
            bytes,
            nodes: 0,
            problems: Vec::new(),
        }
    }

    fn byte(&self, characters: usize) -> u32 {
        let end = u32::try_from(self.file.text.len()).unwrap_or(u32::MAX);
        if self.bytes.is_empty() {
            return u32::try_from(characters).unwrap_or(end).min(end);
        }
        self.bytes.get(characters).copied().unwrap_or(end)
    }

    fn span(&self, span: saphyr_parser::Span) -> Span {
        let start = self.byte(span.start.index());
        Span {
            file: self.id,
            start,
            end: self.byte(span.end.index()).max(start),
        }
    }

    fn stream(&mut self) -> Outcome<Vec<Node>> {
        let mut documents = Vec::new();
        while let Some((event, span)) = self.next()? {
            match event {
                Event::Nothing
                | Event::StreamStart
                | Event::DocumentStart(_)
                | Event::DocumentEnd => {}
                Event::StreamEnd => break,
                other => documents.push(self.node(other, span, 0)?),
            }
        }
        Ok(documents)
    }

    fn next(&mut self) -> Outcome<Option<(Event<'f>, Span)>> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok((event, span))) => Ok(Some((event, self.span(span)))),
            Some(Err(error)) => Err(Box::new(self.unreadable(&error))),
        }
    }

    fn unreadable(&self, error: &ScanError) -> Draft {
        // What is not closed is noticed behind the last line, where nothing can be shown.
        let written = self.file.text.trim_end().char_indices().last();
        let last = u32::try_from(written.map_or(0, |(at, _)| at)).unwrap_or(u32::MAX);
        let start = self.byte(error.marker().index()).min(last);
        let length = self
            .file
            .text
            .get(start as usize..)
            .and_then(|rest| rest.chars().next());
        let end =
            start.saturating_add(length.map_or(0, |c| u32::try_from(c.len_utf8()).unwrap_or(0)));
        let span = Span {
            file: self.id,
            start,
            end,
        };
        let line = self.file.line(self.file.position(start).0);
        let indent: String = line.chars().take_while(|c| c.is_whitespace()).collect();
        let draft = Draft::error(
            "E0001",
            span,
            format!("not readable as YAML: {}", error.info()),
        );
        if indent.contains('\t') || error.info().contains(" tab") {
            draft.remedy("indent with spaces: YAML allows no tabs there")
        } else if line.contains(['[', '{', '\'', '"', '%', '@', '`'])
            || line.matches(": ").count() > 1
        {
            draft.remedy(
                "put the whole value in double quotes if it holds any of [ ] { } , : # or quotes",
            )
        } else {
            draft.remedy(
                "check the indentation of this line and the one before, and the space after `:`",
            )
        }
    }

    fn refuse_extras(&mut self, anchor: usize, tagged: bool, span: Span) {
        if anchor > 0 {
            let text = "anchors and aliases are not allowed";
            self.problems.push(
                Draft::error("E0003", span, text).remedy("write the value out where it is used"),
            );
        }
        if tagged {
            let text = "tags are not allowed";
            self.problems
                .push(Draft::error("E0003", span, text).remedy("leave the `!…` out"));
        }
    }

    fn count(&mut self, depth: usize, span: Span) -> Outcome<()> {
        self.nodes += 1;
        let (what, limit) = match (depth > DEPTH_MAX, self.nodes > NODES_MAX) {
            (true, _) => ("levels", DEPTH_MAX),
            (false, true) => ("values", NODES_MAX),
            (false, false) => return Ok(()),
        };
        let text = format!("the file has more than {limit} {what}");
        Err(Box::new(
            Draft::error("E0004", span, text).remedy("divide it, or move tables to a CSV file"),
        ))
    }

    fn node(&mut self, event: Event<'f>, span: Span, depth: usize) -> Outcome<Node> {
        self.count(depth, span)?;
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_extras(anchor, tag.is_some(), span);
                Ok(self.scalar(&text, style.into(), span))
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_extras(anchor, tag.is_some(), span);
                self.list(span, depth)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_extras(anchor, tag.is_some(), span);
                self.map(span, depth)
            }
            // An alias, or an event that cannot stand here: refused, the rest of the file is read on.
            Event::Alias(_)
            | Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => {
                self.refuse_extras(1, false, span);
                Ok(Node {
                    span,
                    kind: Kind::Scalar(Scalar::new(String::new(), Style::Plain, None)),
                })
            }
        }
    }

    fn scalar(&self, text: &str, style: Style, span: Span) -> Node {
        let raw = self.file.slice(span);
        // A plain scalar's span may reach over the blanks that follow it.
        let trimmed = u32::try_from(raw.trim_end().len()).unwrap_or(0);
        let span = Span {
            end: span.start + trimmed,
            ..span
        };
        let inset = u32::from(style == Style::Quoted);
        let from = (span.start + inset) as usize;
        let same = style != Style::Block
            && self.file.text.get(from..from + text.len()) == Some(text)
            && from + text.len() + inset as usize == span.end as usize;
        let verbatim_at = same.then_some(span.start + inset);
        Node {
            span,
            kind: Kind::Scalar(Scalar::new(text.to_owned(), style, verbatim_at)),
        }
    }

    fn list(&mut self, open: Span, depth: usize) -> Outcome<Node> {
        let mut items: Vec<Node> = Vec::new();
        while let Some((event, span)) = self.next()? {
            if event == Event::SequenceEnd {
                let last = items.last().map_or(open.end, |item| item.span.end);
                return Ok(Node {
                    span: self.cover(open, last, span),
                    kind: Kind::List(items),
                });
            }
            items.push(self.node(event, span, depth + 1)?);
        }
        Ok(Node {
            span: open,
            kind: Kind::List(items),
        })
    }

    fn map(&mut self, open: Span, depth: usize) -> Outcome<Node> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut seen = HashMap::new();
        while let Some((event, span)) = self.next()? {
            if event == Event::MappingEnd {
                let last = entries
                    .last()
                    .map_or(open.end, |(key, value)| value.span.end.max(key.span.end));
                return Ok(Node {
                    span: self.cover(open, last, span),
                    kind: Kind::Map(entries),
                });
            }
            let key = self.node(event, span, depth + 1)?;
            let Some((event, span)) = self.next()? else {
                break;
            };
            let value = self.node(event, span, depth + 1)?;
            if let Some(key) = self.key(&mut seen, key) {
                entries.push((key, value));
            }
        }
        Ok(Node {
            span: open,
            kind: Kind::Map(entries),
        })
    }

    fn key(&mut self, seen: &mut HashMap<String, Span>, key: Node) -> Option<Key> {
        let span = key.span;
        let Kind::Scalar(scalar) = key.kind else {
            let text = "a key must be a text";
            self.problems
                .push(Draft::error("E0103", span, text).remedy("put the key in double quotes"));
            return None;
        };
        if let Some(first) = seen.get(&scalar.text) {
            let text = format!("the key `{}` stands twice", scalar.text);
            let draft = Draft::error("E0002", span, text).remedy("keep one of them");
            self.problems.push(draft.related(*first, "first here"));
            return None;
        }
        seen.insert(scalar.text.clone(), span);
        Some(Key {
            text: scalar.text,
            span,
        })
    }

    /// From the first byte to the closing bracket, or to the end of the last value.
    fn cover(&self, open: Span, last: u32, close: Span) -> Span {
        let bracket = self.file.text.as_bytes().get(open.start as usize);
        let end = if matches!(bracket, Some(b'{' | b'[')) {
            close.end.max(last)
        } else {
            last
        };
        let whole = Span {
            end: end.max(open.end),
            ..open
        };
        let length = self.file.slice(whole).trim_end().len();
        Span {
            end: open.start + u32::try_from(length).unwrap_or(0),
            ..open
        }
    }
}
