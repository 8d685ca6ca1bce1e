//! JSON Patch (RFC 6902) with JSON Pointer (RFC 6901).

use super::document::Json;
use super::{OPERATIONS_MAX, refused};
use crate::limits::Limits;
use crate::problem::{IssueType, Problem};

type Fault = (IssueType, &'static str);

const NO_PLACE: Fault = (IssueType::NotFound, "there is no such place");

pub(super) fn apply(document: &[u8], patch: &[u8], limits: &Limits) -> Result<Vec<u8>, Problem> {
    if document.len().max(patch.len()) > limits.bytes_max {
        let text = format!("longer than {} bytes", limits.bytes_max);
        return Err(Problem::error(IssueType::TooLong, text));
    }
    let parse =
        |bytes| Json::parse(bytes).map_err(|text| Problem::error(IssueType::Structure, text));
    let mut document = parse(document)?;
    let Json::Array(operations) = parse(patch)? else {
        let text = "a JSON Patch is an array of operations";
        return Err(Problem::error(IssueType::Structure, text));
    };
    if operations.len() > OPERATIONS_MAX {
        let text = format!("more than {OPERATIONS_MAX} operations");
        return Err(Problem::error(IssueType::TooLong, text));
    }
    // Copies of copies grow without bound, so what is added is counted.
    let mut room = limits.bytes_max;
    for (at, operation) in operations.iter().enumerate() {
        step(&mut document, operation, &mut room)
            .map_err(|(code, text)| refused(code, &format!("patch[{at}]"), text))?;
    }
    let mut out = Vec::new();
    document.write(&mut out);
    Ok(out)
}

fn step(document: &mut Json, operation: &Json, room: &mut usize) -> Result<(), Fault> {
    let text = |name: &str, missing| {
        let text = operation.member(name).and_then(Json::as_text);
        text.ok_or((IssueType::Required, missing))
    };
    let value = || {
        let value = operation.member("value");
        value.ok_or((IssueType::Required, "an operation without `value`"))
    };
    let op = text("op", "an operation without `op`")?;
    let path = pointer(text("path", "an operation without `path`")?)?;
    let from = || pointer(text("from", "an operation without `from`")?);
    let mut take_room = |value: &Json| {
        *room = room.checked_sub(value.size()).ok_or((
            IssueType::TooLong,
            "the operations add more than is allowed",
        ))?;
        Ok::<(), Fault>(())
    };
    match op {
        "add" => {
            take_room(value()?)?;
            add(document, &path, value()?.clone())
        }
        "remove" => remove(document, &path).map(|_| ()),
        "replace" => {
            take_room(value()?)?;
            *find(document, &path)? = value()?.clone();
            Ok(())
        }
        "move" => {
            let from = from()?;
            if path.len() > from.len() && path.starts_with(&from) {
                return Err((IssueType::Processing, "a value cannot move into itself"));
            }
            let moved = remove(document, &from)?;
            add(document, &path, moved)
        }
        "copy" => {
            let copied = find(document, &from()?)?.clone();
            take_room(&copied)?;
            add(document, &path, copied)
        }
        "test" => {
            if find(document, &path)?.equal(value()?) {
                return Ok(());
            }
            Err((IssueType::Conflict, "the tested value is another one"))
        }
        _ => Err((IssueType::NotSupported, "an unknown operation")),
    }
}

/// The names of a pointer.
fn pointer(text: &str) -> Result<Vec<String>, Fault> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let Some(rest) = text.strip_prefix('/') else {
        return Err((IssueType::Structure, "a path that does not start with `/`"));
    };
    let name = |part: &str| part.replace("~1", "/").replace("~0", "~");
    Ok(rest.split('/').map(name).collect())
}

/// An index into an array (RFC 6901 §4).
fn index(name: &str, count: usize) -> Result<usize, Fault> {
    let plain = name == "0" || !name.starts_with('0');
    let digits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    let index = name.parse().ok().filter(|index| *index < count);
    index.filter(|_| plain && digits).ok_or(NO_PLACE)
}

fn find<'j>(mut json: &'j mut Json, path: &[String]) -> Result<&'j mut Json, Fault> {
    for name in path {
        json = match json {
            Json::Object(members) => {
                let member = members.iter_mut().find(|(own, _)| own == name);
                &mut member.ok_or(NO_PLACE)?.1
            }
            Json::Array(items) => {
                let at = index(name, items.len())?;
                items.get_mut(at).ok_or(NO_PLACE)?
            }
            Json::Text(_) | Json::Bare(_) => return Err(NO_PLACE),
        };
    }
    Ok(json)
}

fn add(document: &mut Json, path: &[String], value: Json) -> Result<(), Fault> {
    let Some((name, parent)) = path.split_last() else {
        *document = value;
        return Ok(());
    };
    match find(document, parent)? {
        Json::Object(members) => {
            match members.iter_mut().find(|(own, _)| own == name) {
                Some(member) => member.1 = value,
                None => members.push((name.clone(), value)),
            }
            Ok(())
        }
        Json::Array(items) => {
            let at = match name.as_str() {
                "-" => items.len(),
                name => index(name, items.len() + 1)?,
            };
            items.insert(at, value);
            Ok(())
        }
        Json::Text(_) | Json::Bare(_) => Err(NO_PLACE),
    }
}

fn remove(document: &mut Json, path: &[String]) -> Result<Json, Fault> {
    let Some((name, parent)) = path.split_last() else {
        return Err((IssueType::Processing, "the whole cannot be removed"));
    };
    match find(document, parent)? {
        Json::Object(members) => {
            let at = members.iter().position(|(own, _)| own == name);
            Ok(members.remove(at.ok_or(NO_PLACE)?).1)
        }
        Json::Array(items) => {
            let at = index(name, items.len())?;
            Ok(items.remove(at))
        }
        Json::Text(_) | Json::Bare(_) => Err(NO_PLACE),
    }
}
