//! The requests of a bundle.

use hilum_fhir::{IssueType, Node, Resource, Style, json};
use hilum_fhirpath::NodeId;
use hilum_message::SourceTime;

use crate::as_of::{self, Timed};
use crate::fault::Fault;
use crate::request::{Conditions, Tags, decode, pairs};
use crate::search::instant_of;

/// One request of a bundle.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// Its place in the bundle.
    pub(crate) at: usize,
    pub(crate) full_url: Option<String>,
    /// Where the resource is in the bundle.
    pub(crate) resource: Option<NodeId>,
    pub(crate) method: http::Method,
    /// The path below the tenant, with a slash before it; escapes stay.
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) conditions: Conditions,
    /// When what it writes was so, as its source says.
    pub(crate) timed: Option<Timed>,
}

impl Item {
    /// Its place, for problems.
    pub(crate) fn place(&self) -> String {
        format!("Bundle.entry[{}]", self.at)
    }

    /// The resource in the bundle.
    pub(crate) fn node<'r>(&self, bundle: &'r Resource) -> Option<Node<'r>> {
        Node::from_id(bundle, self.resource?)
    }

    /// The resource as compact JSON.
    pub(crate) fn json(&self, bundle: &Resource) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(1_024);
        json::write_node(self.node(bundle)?, Style::Compact, &mut out);
        Some(out)
    }

    /// The parts of the path.
    pub(crate) fn parts(&self) -> Vec<&str> {
        self.path
            .split('/')
            .filter(|part| !part.is_empty())
            .collect()
    }
}

/// All requests of a bundle.
pub(crate) fn items(bundle: &Resource, entries_max: usize) -> Result<Vec<Item>, Fault> {
    let mut items = Vec::new();
    let time = as_of::of_bundle(bundle)?;
    for (at, entry) in bundle.root().children_named("entry").enumerate() {
        if at >= entries_max {
            let text = format!("the bundle has more than {entries_max} entries");
            return Err(Fault::bad(IssueType::TooCostly, text));
        }
        let item =
            item(at, entry, time).map_err(|fault| fault.within(&format!("Bundle.entry[{at}]")))?;
        items.push(item);
    }
    Ok(items)
}

fn item(at: usize, entry: Node<'_>, time: Option<SourceTime>) -> Result<Item, Fault> {
    let request = entry
        .child("request")
        .ok_or_else(|| Fault::bad(IssueType::Required, "the entry has no request"))?;
    let text = |name: &str| request.child_text(name);
    let needed = |name: &str| {
        let lacks = || Fault::bad(IssueType::Required, format!("the request has no {name}"));
        text(name).ok_or_else(lacks)
    };
    let method = match needed("method")? {
        "GET" => http::Method::GET,
        "HEAD" => http::Method::HEAD,
        "POST" => http::Method::POST,
        "PUT" => http::Method::PUT,
        "PATCH" => http::Method::PATCH,
        "DELETE" => http::Method::DELETE,
        _ => {
            return Err(Fault::bad(
                IssueType::Value,
                "the request has no known method",
            ));
        }
    };
    let url = needed("url")?;
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let query = pairs(query).map_err(|_| Fault::bad(IssueType::Value, "the URL is not UTF-8"))?;
    let tags = |name: &str| text(name).map(|value| Tags::read(value, name)).transpose();
    Ok(Item {
        at,
        full_url: entry.child_text("fullUrl").map(str::to_owned),
        resource: entry.child("resource").map(Node::id),
        method,
        path: format!("/{}", path.trim_matches('/')),
        query,
        conditions: Conditions {
            if_match: tags("ifMatch")?,
            if_none_match: tags("ifNoneMatch")?,
            if_modified_since: text("ifModifiedSince").and_then(instant_of),
            if_none_exist: text("ifNoneExist").map(str::to_owned),
        },
        timed: as_of::of_request(request, time)?,
    })
}

/// The parts of the path, decoded.
pub(crate) fn decoded(part: &str) -> Result<String, Fault> {
    decode(part).map_err(|_| Fault::bad(IssueType::Value, "the URL is not UTF-8"))
}
