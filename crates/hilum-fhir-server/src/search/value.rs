//! One value of a parameter, by the parameter's kind.

use hilum_fhir::definitions::{SearchParamKind, TypeId};
use hilum_fhir::search::below_mime_type;
use hilum_fhir_store::{
    NumberTest, Prefix, QuantityTest, ReferenceTest, StringMode, Test, TokenTest, UnitTest,
    UriMode, version_below,
};

use super::date;
use super::key::Known;
use super::split::{is_escaped, split, unescape};
use super::table::{Param, Table};
use crate::terms::Asked;

/// What values are read with.
#[derive(Clone, Copy)]
pub(crate) struct Context<'t> {
    pub(crate) table: &'t Table,
    pub(crate) now_ms: i64,
    /// The URL of the tenant: absolute references to it are local ones.
    pub(crate) base: &'t str,
    pub(crate) values_max: usize,
    pub(crate) known: &'t Known,
}

/// What is wrong with a value; said after the name of the parameter.
pub(crate) type Wrong = String;

/// The test that the values of a parameter make, one of them being enough.
pub(crate) fn test(
    context: Context<'_>,
    params: &[Param<'_>],
    modifier: Option<&str>,
    text: &str,
) -> Result<Test, Wrong> {
    let Some(param) = params.first().copied() else {
        return Err("is not known".to_owned());
    };
    let parts = split(text, ',');
    if parts.len() > context.values_max {
        return Err(format!("has more than {} values", context.values_max));
    }
    if parts.iter().any(|part| part.is_empty()) {
        return Err("has an empty value".to_owned());
    }
    if parts.iter().any(|part| !is_escaped(part)) {
        return Err("has a `\\` that escapes nothing; itself is written `\\\\`".to_owned());
    }
    let plain = || parts.iter().map(|part| unescape(part)).collect::<Vec<_>>();
    let kind = param.def.kind;
    match (kind, modifier) {
        (SearchParamKind::String, None) => Ok(Test::String(StringMode::Prefix, plain())),
        (SearchParamKind::String, Some("exact")) => Ok(Test::String(StringMode::Exact, plain())),
        (SearchParamKind::String, Some("contains")) => {
            Ok(Test::String(StringMode::Contains, plain()))
        }
        (SearchParamKind::Uri, None) => Ok(Test::Uri(UriMode::Equal, plain())),
        (SearchParamKind::Uri, Some("above")) => Ok(Test::Uri(UriMode::Above, plain())),
        (SearchParamKind::Uri, Some("below")) => Ok(Test::Uri(UriMode::Below, plain())),
        (SearchParamKind::Token, None | Some("not")) => parts
            .iter()
            .map(|part| token(part))
            .collect::<Result<_, _>>()
            .map(Test::Token),
        (SearchParamKind::Token, Some("text")) => Ok(Test::TokenText(plain())),
        (SearchParamKind::Token, Some("of-type")) => parts
            .iter()
            .map(|part| of_type(part))
            .collect::<Result<_, _>>()
            .map(Test::OfType),
        (SearchParamKind::Token, Some("in" | "not-in")) => {
            listed(context, plain().into_iter().map(Asked::In))
        }
        (SearchParamKind::Token, Some("above")) => listed(
            context,
            parts.iter().map(|part| Asked::Above((*part).to_owned())),
        ),
        (SearchParamKind::Token, Some("below")) if parts.iter().all(|part| is_mime(part)) => {
            // FHIR R4 search.html#mimetype: the type alone, and with parameters.
            let each = plain().into_iter();
            let each = each.flat_map(|base| [below_mime_type(&base), base]);
            Ok(Test::Token(each.map(TokenTest::Code).collect()))
        }
        (SearchParamKind::Token, Some("below")) => listed(
            context,
            parts.iter().map(|part| Asked::Below((*part).to_owned())),
        ),
        (SearchParamKind::Reference, Some("below")) => parts
            .iter()
            .map(|part| below_canonical(part))
            .collect::<Result<Vec<_>, _>>()
            .map(|each| Test::Reference(each.concat())),
        (SearchParamKind::Reference, Some("identifier")) => parts
            .iter()
            .map(|part| token(part))
            .collect::<Result<_, _>>()
            .map(Test::ReferenceIdentifier),
        (SearchParamKind::Reference, Some(name)) => match context.table.type_named(name) {
            Some(ty) if targets(context, params).contains(&ty) => {
                references(context, &[ty], &parts)
            }
            Some(_) => Err(format!(
                "has the modifier `:{name}`, but never refers to one"
            )),
            None => Err(modifiers(kind, name)),
        },
        (SearchParamKind::Reference, None) => {
            references(context, &targets(context, params), &parts)
        }
        (_, None) => one_kind(context, param, kind, &parts),
        (_, Some(name)) => Err(modifiers(kind, name)),
    }
}

/// The types that parameters may refer to.
fn targets(context: Context<'_>, params: &[Param<'_>]) -> Vec<TypeId> {
    let mut targets: Vec<TypeId> = Vec::new();
    for param in params {
        targets.extend(context.table.targets(param.def));
    }
    targets.sort_unstable();
    targets.dedup();
    targets
}

/// Names the modifier that is not known, and those that are.
fn modifiers(kind: SearchParamKind, name: &str) -> Wrong {
    let known = match kind {
        SearchParamKind::String => ":missing, :exact, :contains",
        SearchParamKind::Token => ":missing, :not, :text, :of-type, :in, :not-in, :above, :below",
        SearchParamKind::Uri => ":missing, :above, :below",
        SearchParamKind::Reference => {
            ":missing, :identifier, :below of a canonical URL, or a type of resource"
        }
        SearchParamKind::Number
        | SearchParamKind::Date
        | SearchParamKind::Quantity
        | SearchParamKind::Composite
        | SearchParamKind::Special => ":missing",
    };
    format!("{NO_MODIFIER} `:{name}`, which it does not know; it knows {known}")
}

/// How the refusal of a modifier begins: a lenient client gets its answer without it.
pub(crate) const NO_MODIFIER: &str = "has the modifier";

/// Modifiers under which a test is turned round.
pub(crate) fn is_negative(modifier: Option<&str>) -> bool {
    matches!(modifier, Some("not" | "not-in"))
}

fn one_kind(
    context: Context<'_>,
    param: Param<'_>,
    kind: SearchParamKind,
    parts: &[&str],
) -> Result<Test, Wrong> {
    match kind {
        SearchParamKind::Number => parts
            .iter()
            .map(|part| number(part))
            .collect::<Result<_, _>>()
            .map(Test::Number),
        SearchParamKind::Quantity => parts
            .iter()
            .map(|part| quantity(part))
            .collect::<Result<_, _>>()
            .map(Test::Quantity),
        SearchParamKind::Date => parts
            .iter()
            .map(|part| {
                let (prefix, rest) = prefixed(part)?;
                date::interval(prefix, rest, context.now_ms)
                    .ok_or_else(|| "has a value that is no date".to_owned())
            })
            .collect::<Result<_, _>>()
            .map(Test::Date),
        SearchParamKind::Reference => references(context, &context.table.targets(param.def), parts),
        SearchParamKind::Composite => parts
            .iter()
            .map(|part| composite(context, param, part))
            .collect::<Result<_, _>>()
            .map(Test::Composite),
        SearchParamKind::Token => parts
            .iter()
            .map(|part| token(part))
            .collect::<Result<_, _>>()
            .map(Test::Token),
        SearchParamKind::String => {
            let plain = parts.iter().map(|part| unescape(part)).collect();
            Ok(Test::String(StringMode::Prefix, plain))
        }
        SearchParamKind::Uri => {
            let plain = parts.iter().map(|part| unescape(part)).collect();
            Ok(Test::Uri(UriMode::Equal, plain))
        }
        SearchParamKind::Special => Err("cannot be searched for on this server".to_owned()),
    }
}

/// The prefix of a value (FHIR R4 search.html#prefix), and the rest.
pub(crate) fn prefixed(text: &str) -> Result<(Prefix, &str), Wrong> {
    let Some((head, rest)) = text
        .split_at_checked(2)
        .filter(|(head, _)| head.bytes().all(|byte| byte.is_ascii_alphabetic()))
    else {
        return Ok((Prefix::Eq, text));
    };
    let prefix = match head {
        "eq" => Prefix::Eq,
        "ne" => Prefix::Ne,
        "gt" => Prefix::Gt,
        "lt" => Prefix::Lt,
        "ge" => Prefix::Ge,
        "le" => Prefix::Le,
        "sa" => Prefix::Sa,
        "eb" => Prefix::Eb,
        "ap" => Prefix::Ap,
        _ => {
            return Err(
                "has a value with a prefix that is none of eq, ne, gt, lt, ge, le, sa, eb, ap"
                    .to_owned(),
            );
        }
    };
    Ok((prefix, rest))
}

fn number(text: &str) -> Result<NumberTest, Wrong> {
    let (prefix, value) = prefixed(text)?;
    if !is_decimal(value) {
        return Err("has a value that is no number".to_owned());
    }
    Ok(NumberTest {
        prefix,
        value: value.to_owned(),
    })
}

/// A decimal as FHIR writes it: digits, an optional part and exponent; at most 64 characters.
fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = unsigned
        .split_once(['e', 'E'])
        .map_or((unsigned, None), |(mantissa, exponent)| {
            (mantissa, Some(exponent))
        });
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let whole = match mantissa.split_once('.') {
        Some((whole, part)) => all_digits(whole) && all_digits(part),
        None => all_digits(mantissa),
    };
    let scaled = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        all_digits(digits) && digits.len() <= 3
    });
    text.len() <= 64 && whole && scaled
}

fn quantity(text: &str) -> Result<QuantityTest, Wrong> {
    let parts = split(text, '|');
    let first = parts.first().copied().unwrap_or_default();
    let number = number(first)?;
    let rest: Vec<String> = parts.iter().skip(1).map(|part| unescape(part)).collect();
    let unit = match rest.as_slice() {
        [] => UnitTest::Any,
        [system, code] if system.is_empty() && !code.is_empty() => UnitTest::Code(code.clone()),
        [system, code] if !code.is_empty() => UnitTest::System(system.clone(), code.clone()),
        _ => {
            return Err(
                "has a value that is neither NUMBER, NUMBER|SYSTEM|CODE nor NUMBER||CODE"
                    .to_owned(),
            );
        }
    };
    Ok(QuantityTest { number, unit })
}

fn token(text: &str) -> Result<TokenTest, Wrong> {
    let parts = split(text, '|');
    Ok(match parts.as_slice() {
        [code] => TokenTest::Code(unescape(code)),
        ["", ""] => return Err("has a value with neither system nor code".to_owned()),
        ["", code] => TokenTest::NoSystem(unescape(code)),
        [system, ""] => TokenTest::System(unescape(system)),
        [system, code] => TokenTest::SystemCode(unescape(system), unescape(code)),
        _ => return Err("has a value with more than one `|`; escape it as `\\|`".to_owned()),
    })
}

/// A MIME type without parameters.
fn is_mime(text: &str) -> bool {
    text.contains('/') && !text.contains(['|', ':', ';', '\\'])
}

/// A canonical URL with every version, or with one and those below it
/// (FHIR R4 search.html#versions).
fn below_canonical(text: &str) -> Result<Vec<ReferenceTest>, Wrong> {
    let parts: Vec<String> = split(text, '|').into_iter().map(unescape).collect();
    let url = |text: String| ReferenceTest::Url(text);
    match parts.as_slice() {
        [base] if base.contains(':') => Ok(vec![url(base.clone())]),
        [base, version] if base.contains(':') && !version.is_empty() => Ok(vec![
            url(format!("{base}|{version}")),
            url(format!("{base}|{}", version_below(version))),
        ]),
        _ => Err("has the modifier `:below` with a value that is no canonical URL".to_owned()),
    }
}

fn of_type(text: &str) -> Result<(Option<String>, String, String), Wrong> {
    match split(text, '|').as_slice() {
        [system, code, value] if !code.is_empty() && !value.is_empty() => {
            let system = (!system.is_empty()).then(|| unescape(system));
            Ok((system, unescape(code), unescape(value)))
        }
        _ => Err("has a value that is not SYSTEM|CODE|VALUE".to_owned()),
    }
}

/// The codes that value sets and code systems list (FHIR R4 search.html#token).
fn listed(context: Context<'_>, sets: impl Iterator<Item = Asked>) -> Result<Test, Wrong> {
    let mut tests = Vec::new();
    for asked in sets {
        let found = context.known.codes.get(&asked);
        // Only a code without its system is not looked up beforehand.
        let found = found.ok_or("needs a value of the form SYSTEM|CODE")?;
        tests.extend(found.as_ref().map_err(Clone::clone)?.iter().cloned());
        if tests.len() > context.values_max {
            return Err(format!("stands for more than {} codes", context.values_max));
        }
    }
    Ok(Test::Token(tests))
}

fn references(context: Context<'_>, types: &[TypeId], parts: &[&str]) -> Result<Test, Wrong> {
    let tests = parts
        .iter()
        .map(|part| reference(context, types, &unescape(part)));
    tests.collect::<Result<_, _>>().map(Test::Reference)
}

/// `id`, `Type/id`, or a URL; one of this server is local.
fn reference(context: Context<'_>, types: &[TypeId], text: &str) -> Result<ReferenceTest, Wrong> {
    let local = text
        .strip_prefix(context.base)
        .and_then(|rest| rest.strip_prefix('/'))
        .unwrap_or(text);
    if local.contains(':') {
        return Ok(ReferenceTest::Url(text.to_owned()));
    }
    let mut parts = local.split('/');
    let (first, second) = (parts.next().unwrap_or_default(), parts.next());
    let history = (parts.next(), parts.next(), parts.next());
    let known = |ty: &TypeId| context.table.stored(*ty);
    match (second, history) {
        (None, _) if is_id(first) => {
            let types = types.iter().filter_map(known).collect();
            Ok(ReferenceTest::Local(types, first.to_owned()))
        }
        // Which version is referred to makes no difference to a search.
        (Some(id), (None, None, None) | (Some("_history"), Some(_), None)) if is_id(id) => {
            let ty = context
                .table
                .type_named(first)
                .ok_or_else(|| format!("names the type `{first}`, which does not exist"))?;
            if !types.contains(&ty) {
                return Err(format!("never refers to a {first}"));
            }
            let stored = known(&ty).into_iter().collect();
            Ok(ReferenceTest::Local(stored, id.to_owned()))
        }
        _ => Err("has a value that is neither ID, TYPE/ID nor a URL".to_owned()),
    }
}

/// FHIR R4 datatypes.html#id.
pub(crate) fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

/// The parts of a composite, each by the parameter that it is of.
fn composite(context: Context<'_>, param: Param<'_>, text: &str) -> Result<Vec<Test>, Wrong> {
    let parts = split(text, '$');
    let components = &param.def.components;
    if parts.len() != components.len() {
        return Err(format!(
            "has a value of {} parts where {} are needed, joined by `$`",
            parts.len(),
            components.len()
        ));
    }
    parts
        .iter()
        .zip(components)
        .map(|(part, (id, _))| {
            let set = &context.table.set;
            let def = set
                .get(*id)
                .ok_or("has a part that this server does not know")?;
            if part.is_empty() {
                return Err("has an empty part".to_owned());
            }
            let inner = Param {
                key: param.key,
                def,
            };
            one_kind(context, inner, def.kind, &[part])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimals_with_a_prefix() {
        for (text, expected) in [
            ("5.4", true),
            ("-5", true),
            ("1e3", true),
            ("1.50e-2", true),
            ("", false),
            (".5", false),
            ("5.", false),
            ("1e", false),
            ("1e9999", false),
            ("0x1", false),
        ] {
            assert_eq!(is_decimal(text), expected, "{text}");
        }
        assert_eq!(prefixed("ge2020"), Ok((Prefix::Ge, "2020")));
        assert_eq!(prefixed("2020"), Ok((Prefix::Eq, "2020")));
        assert!(prefixed("xx2020").is_err());
    }

    #[test]
    fn tokens_and_quantities_tell_system_and_code_apart() {
        assert!(token("a") == Ok(TokenTest::Code("a".into())));
        assert!(token("s|a") == Ok(TokenTest::SystemCode("s".into(), "a".into())));
        assert!(token("|a") == Ok(TokenTest::NoSystem("a".into())));
        assert!(token("s|") == Ok(TokenTest::System("s".into())));
        assert!(token("a\\|b") == Ok(TokenTest::Code("a|b".into())));
        assert!(token("|").is_err() && token("a|b|c").is_err());
        assert!(quantity("5.4||mg").unwrap().unit == UnitTest::Code("mg".into()));
        assert!(quantity("lt5").unwrap().unit == UnitTest::Any);
        assert!(quantity("5|s").is_err() && quantity("5|s|").is_err());
        assert!(of_type("s|MR|12") == Ok((Some("s".into()), "MR".into(), "12".into())));
        assert!(of_type("s|MR").is_err());
    }
}
