//! A cursor over the text of one column.

use crate::problem::Fault;

/// Reads a text from left to right.
#[derive(Clone, Debug)]
pub(super) struct Scan<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scan<'t> {
    pub(super) const fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Characters that were read.
    pub(super) fn column(&self) -> usize {
        self.text
            .get(..self.at)
            .map_or(0, |read| read.chars().count())
    }

    pub(super) fn is_done(&self) -> bool {
        self.rest().is_empty()
    }

    pub(super) fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Takes this text if it stands here.
    pub(super) fn take(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    /// Takes this word if it stands here and ends here.
    pub(super) fn word(&mut self, word: &str) -> bool {
        let behind = self
            .rest()
            .strip_prefix(word)
            .map(|rest| rest.chars().next());
        let ends = behind.is_some_and(|next| next.is_none_or(|c| !c.is_alphanumeric() && c != '_'));
        ends && self.take(word)
    }

    pub(super) fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let length = rest.find(|c| !keep(c)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    /// Everything up to a closing parenthesis that fits; the opening one was read.
    pub(super) fn parenthesis(&mut self) -> Result<&'t str, Fault> {
        let rest = self.rest();
        let mut depth = 0_usize;
        for (at, c) in rest.char_indices() {
            match c {
                '(' => depth += 1,
                ')' if depth == 0 => {
                    self.at += at + 1;
                    return Ok(rest.get(..at).unwrap_or_default());
                }
                ')' => depth -= 1,
                _ => {}
            }
        }
        Err(self
            .fault("a parenthesis is not closed")
            .remedy("close it with `)`"))
    }

    /// A text in single quotes; a quote in it is written twice.
    pub(super) fn quoted(&mut self) -> Result<Option<String>, Fault> {
        let start = self.clone();
        if !self.take("'") {
            return Ok(None);
        }
        let mut text = String::new();
        loop {
            text.push_str(self.take_while(|c| c != '\''));
            if !self.take("'") {
                return Err(start
                    .fault("a text is not closed")
                    .remedy("close it with `'`"));
            }
            if !self.take("'") {
                return Ok(Some(text));
            }
            text.push('\'');
        }
    }

    pub(super) fn number(&mut self) -> Result<u32, Fault> {
        let start = self.clone();
        let digits = self.take_while(|c| c.is_ascii_digit());
        digits
            .parse()
            .map_err(|_| start.fault("a number was expected"))
    }

    pub(super) fn expect(&mut self, text: &str) -> Result<(), Fault> {
        if self.take(text) {
            return Ok(());
        }
        Err(self.fault(format!("`{text}` was expected")))
    }

    pub(super) fn end(&mut self) -> Result<(), Fault> {
        self.blanks();
        if self.is_done() {
            return Ok(());
        }
        Err(self.fault("nothing more was expected here"))
    }

    /// A fault at the cursor.
    pub(super) fn fault(&self, reason: impl Into<String>) -> Fault {
        let rest = self.rest();
        let text = if rest.is_empty() { self.text } else { rest };
        Fault::new(self.column(), text, reason)
    }
}
