//! From text to a compiled form: scanner, parser, function table, warnings.
//!
//! The parser never recurses deeper than [`NESTING_MAX`], so no text can exhaust the stack; chains
//! of operators and of steps are flat lists, so their length costs no depth either.

pub(crate) mod ast;
mod error;
mod function;
mod parse;
mod parse_call;
mod scan;
mod warn;

pub use error::{CompileError, Span, Warning, WarningKind};
pub use function::functions;
pub(crate) use function::{Convert, Existence, Family, Math, Navigate, Subset, Text, Utility};
pub(crate) use parse::{Parsed, parse};
pub(crate) use warn::warnings;

/// Longest text of one expression, in bytes.
pub const EXPRESSION_BYTES_MAX: usize = 256 * 1024;

/// Deepest nesting of parentheses, arguments and operators of rising precedence.
pub const NESTING_MAX: usize = 64;
