//! `$meta`, `$meta-add`, `$meta-delete` of one resource (FHIR R4 resource-operation-meta.html).
//!
//! Adding and deleting make a new version, as every change does.

use hilum_access::{Method, Permission};
use hilum_component::BoxFuture;
use hilum_fhir::json::write_node;
use hilum_fhir::resource::{EditError, Editor};
use hilum_fhir::{IssueType, Node, Problem, Resource, Style};
use hilum_fhir_store::{Change, Commit, Expect, Expected, Method as Write, StoreError, Stored};

use crate::call::{Call, Reply};
use crate::fault::Fault;
use crate::interaction::{id_of, restless, type_of};
use crate::route::{Claim, Entry, entry};
use crate::write;

pub(super) fn routes() -> [Entry; 3] {
    let claim = |code, url| Claim::Operation(code, url);
    [
        entry(
            "meta",
            Method::Get,
            "/{type}/{id}/$meta",
            Permission::FhirRead,
            "Profiles, tags and labels of a resource",
            claim(
                "meta",
                "http://hl7.org/fhir/OperationDefinition/Resource-meta",
            ),
            show,
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
