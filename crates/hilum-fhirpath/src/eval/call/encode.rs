//! `encode`, `decode`, `escape`, `unescape`.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::{Called, Eval, Machine};
use crate::error::EvalError;
use crate::syntax::Text;
use crate::value::{Collection, Value};

impl<'t> Machine<'t> {
    pub(super) fn recode(
        &self,
        function: Text,
        text: &str,
        called: &Called<'_, 't>,
    ) -> Eval<Collection<'t>> {
        let Some(form) = self.text_arg(called, 0)? else {
            return Ok(Collection::new());
        };
        let done = match (function, form.as_ref()) {
            (Text::Encode, "base64") => Some(STANDARD.encode(text)),
            (Text::Encode, "urlbase64") => Some(URL_SAFE.encode(text)),
            (Text::Encode, "hex") => Some(hex(text)),
            (Text::Decode, "base64") => utf8(STANDARD.decode(text).ok()),
            (Text::Decode, "urlbase64") => utf8(URL_SAFE.decode(text).ok()),
            (Text::Decode, "hex") => utf8(unhex(text)),
            (Text::Escape, "html") => Some(escape_html(text)),
            (Text::Escape, "json") => Some(escape_json(text)),
            (Text::Unescape, "html") => Some(unescape_html(text)),
            (Text::Unescape, "json") => unescape_json(text),
            _ => {
                return Err(EvalError::Argument {
                    operation: called.call.name,
                    what: "form",
                    span: called.span.clone(),
                });
            }
        };
        Ok(Collection::maybe(
            done.map(|text| Value::String(text.into())),
        ))
    }
}

fn utf8(bytes: Option<Vec<u8>>) -> Option<String> {
    String::from_utf8(bytes?).ok()
}

fn hex(text: &str) -> String {
    let digit = |n: u8| char::from_digit(u32::from(n), 16).unwrap_or('0');
    text.bytes()
        .flat_map(|b| [digit(b >> 4), digit(b & 15)])
        .collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |b: u8| {
        char::from(b)
            .to_digit(16)
            .and_then(|n| u8::try_from(n).ok())
    };
    text.as_bytes()
        .chunks(2)
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect()
}

fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn unescape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        out.push_str(before);
        let entity = behind
            .split_once(';')
            .and_then(|(name, after)| Some((named(name)?, after)));
        match entity {
            Some((c, after)) => {
                out.push(c);
                rest = after;
            }
            None => {
                out.push('&');
                rest = behind;
            }
        }
    }
    out.push_str(rest);
    out
}

fn named(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some('\u{a0}'),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

fn escape_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => {
                // Writing to a String cannot fail.
                write!(out, "\\u{:04x}", u32::from(c)).unwrap_or_default();
            }
            c => out.push(c),
        }
    }
    out
}

fn unescape_json(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        out.push(match chars.next()? {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'u' => {
                let mut code = unit(&mut chars)?;
                if (0xd800..0xdc00).contains(&code) {
                    if chars.next()? != '\\' || chars.next()? != 'u' {
                        return None;
                    }
                    let low = unit(&mut chars)?.checked_sub(0xdc00)?;
                    code = 0x10000 + ((code - 0xd800) << 10) + low;
                }
                char::from_u32(code)?
            }
            c @ ('"' | '\\' | '/') => c,
            _ => return None,
        });
    }
    Some(out)
}

/// Four hexadecimal digits.
fn unit(chars: &mut std::str::Chars<'_>) -> Option<u32> {
    (0..4).try_fold(0, |code, _| Some(code << 4 | chars.next()?.to_digit(16)?))
}
