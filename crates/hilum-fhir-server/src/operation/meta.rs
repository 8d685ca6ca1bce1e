//! `$meta` of a resource, of a type and of the system; `$meta-add` and `$meta-delete` of a resource
//! (FHIR R4 resource-operation-meta.html).
//!
//! Adding and deleting make a new version, as every change does. What a type or the system has is
//! what current versions have, each once; it is read from one resource for each different value.

use std::collections::BTreeMap;

use hilum_access::{Method, Permission};
use hilum_component::BoxFuture;
use hilum_fhir::definitions::TypeId;
use hilum_fhir::json::{write_node, write_string};
use hilum_fhir::resource::{EditError, Editor};
use hilum_fhir::{IssueType, Node, Problem, Resource, Style};
use hilum_fhir_store::{
    Change, Commit, Expect, Expected, Method as Write, ParamKey, StoreError, Stored,
};

use crate::call::{Call, Reply};
use crate::fault::Fault;
use crate::interaction::{id_of, restless, type_of};
use crate::route::{Claim, Entry, entry};
use crate::write;

pub(super) fn routes() -> [Entry; 5] {
    let claim = |code, url| Claim::Operation(code, url);
    let meta = |name, path, permission, about, handle| {
        let url = "http://hl7.org/fhir/OperationDefinition/Resource-meta";
        let claim = claim("meta", url);
        entry(name, Method::Get, path, permission, about, claim, handle)
    };
    [
        meta(
            "meta",
            "/{type}/{id}/$meta",
            Permission::FhirRead,
            "Profiles, tags and labels of a resource",
            show,
        ),
        meta(
            "meta-type",
            "/{type}/$meta",
            Permission::FhirSearch,
            "Profiles, tags and labels that resources of a type have",
            of_type,
        ),
        meta(
            "meta-system",
            "/$meta",
            Permission::FhirSearch,
            "Profiles, tags and labels that resources have",
            of_system,
        ),
        entry(
            "meta-add",
            Method::Post,
            "/{type}/{id}/$meta-add",
            Permission::FhirWrite,
            "Adds profiles, tags and labels to a resource",
            claim(
                "meta-add",
                "http://hl7.org/fhir/OperationDefinition/Resource-meta-add",
            ),
            add,
        ),
        entry(
            "meta-delete",
            Method::Post,
            "/{type}/{id}/$meta-delete",
            Permission::FhirWrite,
            "Takes profiles, tags and labels from a resource",
            claim(
                "meta-delete",
                "http://hl7.org/fhir/OperationDefinition/Resource-meta-delete",
            ),
            delete,
        ),
    ]
}

fn show(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        call.knows_only(&[])?;
        told(&current(&call).await?)
    })
}

fn of_type(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move {
        let (ty, _) = type_of(&call)?;
        in_use(&call, &[ty]).await
    })
}

fn of_system(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move { in_use(&call, &call.tenant.table.all()).await })
}

/// What the resources of some types have in these lists.
async fn in_use(call: &Call, types: &[TypeId]) -> Result<Reply, Fault> {
    call.knows_only(&[])?;
    let table = &call.tenant.table;
    let codes = types
        .iter()
        .flat_map(|ty| ["_profile", "_security", "_tag"].map(|code| (*ty, code)));
    let params: Vec<ParamKey> = codes
        .filter_map(|(ty, code)| Some(table.param(ty, code)?.key))
        .collect();
    let mut lists = LISTS.map(|_| BTreeMap::new());
    for stored in call.tenant.store.one_of_each(params).await? {
        let Some(bytes) = write::spliced(&stored) else {
            continue;
        };
        let resource = write::trusted(&bytes)?;
        let Some(meta) = resource.root().child("meta") else {
            continue;
        };
        for (name, list) in LISTS.iter().zip(&mut lists) {
            for item in meta.children_named(name) {
                let owned = |text: Option<&str>| text.map(str::to_owned);
                let code = owned(item.text().or_else(|| item.child_text("code")));
                let key = (owned(item.child_text("system")), code);
                list.entry(key).or_insert_with(|| {
                    let mut json = Vec::new();
                    match item.text() {
                        Some(profile) => write_string(profile, &mut json),
                        None => write_node(item, Style::Compact, &mut json),
                    }
                    json
                });
            }
        }
    }
    let lists = LISTS.iter().zip(lists).filter(|(_, list)| !list.is_empty());
    let lists: Vec<Vec<u8>> = lists
        .map(|(name, list)| {
            let items: Vec<Vec<u8>> = list.into_values().collect();
            [
                format!("\"{name}\":[").as_bytes(),
                &items.join(&b","[..]),
                b"]",
            ]
            .concat()
        })
        .collect();
    // An empty Meta cannot be written.
    let mut out = br#"{"resourceType":"Parameters""#.to_vec();
    if !lists.is_empty() {
        out.extend_from_slice(br#","parameter":[{"name":"return","valueMeta":{"#);
        out.extend_from_slice(&lists.join(&b","[..]));
        out.extend_from_slice(b"}}]");
    }
    out.push(b'}');
    Ok(Reply::json(out))
}

fn add(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move { change(&call, added).await })
}

fn delete(call: Call) -> BoxFuture<'static, Result<Reply, Fault>> {
    Box::pin(async move { change(&call, deleted).await })
}

async fn current(call: &Call) -> Result<Stored, Fault> {
    let (_, ty) = type_of(call)?;
    let stored = call.tenant.read(ty, id_of(call)?).await?;
    stored.ok_or_else(|| Fault::missing(IssueType::NotFound, "there is no such resource"))
}

/// The meta of a version as Parameters.
fn told(stored: &Stored) -> Result<Reply, Fault> {
    let Some(bytes) = write::spliced(stored) else {
        return Err(Fault::gone(u64::from(stored.version)));
    };
    let resource = write::trusted(&bytes)?;
    let mut out =
        br#"{"resourceType":"Parameters","parameter":[{"name":"return","valueMeta":"#.to_vec();
    match resource.root().child("meta") {
        Some(meta) => write_node(meta, Style::Compact, &mut out),
        None => return Err(Fault::failed("a stored resource has no meta")),
    }
    out.extend_from_slice(b"}]}");
    Ok(Reply::json(out))
}

type Edit = fn(&Resource, Node<'_>) -> Result<Resource, EditError>;

async fn change(call: &Call, edit: Edit) -> Result<Reply, Fault> {
    call.knows_only(&[])?;
    let (_, resource_type) = type_of(call)?;
    let given = call.resource(None).await?;
    let meta = given
        .root()
        .children_named("parameter")
        .filter(|parameter| parameter.child_text("name") == Some("meta"))
        .find_map(|parameter| parameter.child("value"))
        .filter(|value| value.type_name() == "Meta")
        .ok_or_else(|| {
            let text = "the body is Parameters with a parameter `meta` of type Meta";
            Fault::bad(IssueType::Required, text)
        })?
        .id();
    for _ in 0..call.fhir.limits.tries_max {
        let stored = current(call).await?;
        let Some(bytes) = write::spliced(&stored) else {
            return Err(Fault::gone(u64::from(stored.version)));
        };
        let resource = write::trusted(&bytes)?;
        let Some(meta) = Node::from_id(&given, meta) else {
            continue;
        };
        let edited = edit(&resource, meta)
            .map_err(|error| Fault::unprocessable(vec![Problem::from(error)]))?;
        let taken = call.take(edited).await?;
        let id = stored.id.to_string();
        let body = taken.body(&id);
        let commit = Commit {
            expectations: vec![Expect::Version {
                resource_type,
                id: id.clone(),
                expected: Expected::Exactly(stored.version),
            }],
            changes: vec![Change {
                resource_type,
                id,
                method: Write::Update {
                    body,
                    rows: taken.rows,
                },
            }],
            ..Commit::default()
        };
        match call.commit(commit).await {
            Ok(_) => return told(&current(call).await?),
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(restless())
}

/// Lists of a meta, and what makes two items of them the same.
const LISTS: [&str; 3] = ["profile", "security", "tag"];

fn same(one: Node<'_>, other: Node<'_>) -> bool {
    one.text() == other.text()
        && one.child_text("system") == other.child_text("system")
        && one.child_text("code") == other.child_text("code")
}

fn added(resource: &Resource, given: Node<'_>) -> Result<Resource, EditError> {
    let mut editor = Editor::new(resource);
    let known = resource.root().child("meta");
    let meta = match known {
        Some(meta) => meta.id(),
        None => editor.add(editor.root(), "meta")?,
    };
    for list in LISTS {
        for item in given.children_named(list) {
            let mut own = known.into_iter().flat_map(|meta| meta.children_named(list));
            if !own.any(|own| same(own, item)) {
                let at = editor.add(meta, list)?;
                editor.fill(at, item)?;
            }
        }
    }
    Ok(editor.finish())
}

fn deleted(resource: &Resource, given: Node<'_>) -> Result<Resource, EditError> {
    let mut editor = Editor::new(resource);
    let known = resource.root().child("meta");
    for list in LISTS {
        for own in known.into_iter().flat_map(|meta| meta.children_named(list)) {
            if given.children_named(list).any(|item| same(own, item)) {
                editor.delete(own.id())?;
            }
        }
    }
    Ok(editor.finish())
}
