//! A request that found its route, and what is answered.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use hilum_fhir::IssueType;
use hilum_fhir_store::Seq;
use http::{HeaderName, HeaderValue, StatusCode};

use crate::beside::Beside;
use crate::bulk::Parts;
use crate::fault::{Fault, suggestion};
use crate::port::Delivering;
use crate::request::{Conditions, Format, Kind, Media, Prefer, unsupported};
use crate::search::{Context, Keys, Known, Reading, list_id, split};
use crate::server::Fhir;
use crate::tenant::Tenant;
use crate::write::{self, Large};

/// A request, read and decoded. Requests of a bundle are calls as well.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) fhir: Arc<Fhir>,
    pub(crate) tenant: Arc<Tenant>,
    /// The parts of the path that the route names.
    pub(crate) parts: Vec<(&'static str, String)>,
    /// The query without what every request may say (`_format`, `_pretty`).
    pub(crate) query: Vec<(String, String)>,
    pub(crate) conditions: Conditions,
    pub(crate) prefer: Prefer,
    /// Languages that the client reads (`Accept-Language`).
    pub(crate) languages: Option<Arc<str>>,
    pub(crate) media: Media,
    pub(crate) body: Content,
    /// The URL under which the tenant is reached, without a slash at the end.
    pub(crate) base: Arc<str>,
    /// A read gives what was there after this change: reads of a transaction see its own moment.
    pub(crate) moment: Option<Seq>,
    /// Who asks.
    pub(crate) caller: IpAddr,
    /// The delivery of a channel that it belongs to.
    pub(crate) delivering: Option<Delivering>,
    /// What the channel brought beside the body.
    pub(crate) beside: Option<Arc<Beside>>,
}

/// The body of a request.
#[derive(Clone)]
pub(crate) struct Content {
    pub(crate) kind: Kind,
    pub(crate) bytes: Bytes,
}

impl Content {
    pub(crate) const NONE: Self = Self {
        kind: Kind::Unnamed,
        bytes: Bytes::new(),
    };

    /// The format of a resource; a body of another kind is refused.
    pub(crate) fn format(&self) -> Result<Format, Fault> {
        match self.kind {
            Kind::Resource(format) => Ok(format),
            Kind::Unnamed if self.bytes.is_empty() => Err(Fault::bad(
                IssueType::Required,
                "the request has no body; it needs a resource",
            )),
            Kind::Unnamed => Err(unsupported("the request has no `Content-Type`")),
            Kind::Form | Kind::JsonPatch | Kind::Other => Err(unsupported(
                "`Content-Type` is neither application/fhir+json nor application/fhir+xml",
            )),
        }
    }
}

impl Call {
    /// A part of the path; empty if the route has none of this name.
    pub(crate) fn part(&self, name: &str) -> &str {
        self.parts
            .iter()
            .find(|(known, _)| *known == name)
            .map_or("", |(_, value)| value)
    }

    /// A parameter of the query.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// What searches are read with.
    pub(crate) fn reading<'c>(&'c self, known: &'c Known) -> Reading<'c> {
        let limits = &self.fhir.limits;
        Reading {
            keys: Keys {
                context: Context {
                    table: &self.tenant.table,
                    now_ms: (self.fhir.clock)(),
                    base: &self.base,
                    values_max: limits.search_values_max,
                    known,
                },
                chain_max: limits.chain_max,
            },
            limits,
            handling: self.prefer.handling,
        }
    }

    /// The lists and the sets of codes that a search names.
    pub(crate) async fn known(&self, pairs: &[(String, String)]) -> Result<Known, Fault> {
        crate::search::bounded(&self.fhir.limits, pairs)?;
        let mut known = Known {
            codes: crate::terms::codes(self, pairs).await?,
            ..Known::default()
        };
        for (_, value) in pairs.iter().filter(|(name, _)| name == "_list") {
            for id in split(value, ',').into_iter().map(list_id) {
                if let Some(items) = crate::list::items(self, id).await? {
                    known.lists.insert(id.to_owned(), items);
                }
            }
        }
        Ok(known)
    }

    /// The query as the criteria of a conditional interaction.
    pub(crate) fn criteria(&self) -> Result<String, Fault> {
        if self.query.is_empty() {
            let text = "the request has no id, so it needs search parameters";
            return Err(Fault::bad(IssueType::Required, text));
        }
        Ok(crate::bundle::link_url("", &self.query))
    }

    /// Refuses parameters that this interaction does not know: nothing is silently ignored.
    pub(crate) fn knows_only(&self, known: &[&str]) -> Result<(), Fault> {
        for (name, _) in &self.query {
            if !known.contains(&name.as_str()) {
                let near = suggestion(name, known.iter().copied());
                return Err(Fault::bad(
                    IssueType::NotSupported,
                    format!("this request takes no parameter `{name}`{near}"),
                ));
            }
        }
        Ok(())
    }
}

/// What is answered.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) content: Answer,
}

/// The body of an answer.
#[derive(Clone)]
pub(crate) enum Answer {
    None,
    /// A resource as compact FHIR JSON; XML is made of it where that was asked for.
    Json(Vec<u8>),
    /// A resource with large content apart.
    Apart(Box<Large>),
    /// Bytes that are no resource.
    Raw(Bytes, String),
    /// Files of lines, under a media type.
    Lines(Parts, &'static str),
}

impl Reply {
    pub(crate) const fn new(status: StatusCode, content: Answer) -> Self {
        Self {
            status,
            headers: Vec::new(),
            content,
        }
    }

    /// 200 with a resource.
    pub(crate) const fn json(bytes: Vec<u8>) -> Self {
        Self::new(StatusCode::OK, Answer::Json(bytes))
    }

    /// The same with all that is apart in its place.
    pub(crate) async fn whole(self) -> Result<Self, Fault> {
        let content = match self.content {
            Answer::Apart(large) => {
                let stored = large.store.whole(large.stored).await?;
                Answer::Json(write::spliced(&stored).unwrap_or_default())
            }
            content => content,
        };
        Ok(Self { content, ..self })
    }

    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }
}
