//! The node: is it there, what does it do, which plan does it run.

use std::sync::Arc;

use hilum_access::{Method, Permission, Route};
use hilum_component::BoxFuture;
use serde_json::json;

use super::{Admin, ApiError, Call, Entry, Reply, all, json};
use crate::{metrics, openapi};

pub(super) fn routes() -> Vec<Entry> {
    let health = Permission::Health;
    vec![
        Entry {
            route: Route::get("health", "/health", health, "Says that the node runs"),
            handle: alive,
        },
        Entry {
            route: Route::get(
                "ready",
                "/ready",
                health,
                "Says that every channel was started, and which of them failed",
            ),
            handle: ready,
        },
        Entry {
            route: Route::get("metrics", "/metrics", health, "Figures for Prometheus"),
            handle: figures,
        },
        Entry {
            route: Route::get("openapi", "/api/v1/openapi.json", health, "This document"),
            handle: document,
        },
        Entry {
            route: Route::get(
                "status",
                "/api/v1/status",
                Permission::Operations,
                "Channels, queues and what is wrong with them",
            ),
            handle: status,
        },
        Entry {
            route: Route {
                method: Method::Post,
                ..Route::get(
                    "reload",
                    "/api/v1/reload",
                    Permission::Administer,
                    "Loads the folder again",
                )
            },
            handle: reload,
        },
    ]
}

type Answer = BoxFuture<'static, Result<Reply, ApiError>>;

fn alive(admin: Arc<Admin>, _call: Call) -> Answer {
    Box::pin(async move {
        let status = admin.engine.status();
        let state = if status.disk_full { "disk-full" } else { "ok" };
        Ok(Reply::Json(
            json!({ "status": state, "site": status.site, "plan": status.plan }),
        ))
    })
}

/// This is answered from the moment on when every channel takes messages or has failed: an engine
/// that is not there yet has no API.
fn ready(admin: Arc<Admin>, _call: Call) -> Answer {
    Box::pin(async move {
        let status = admin.engine.status();
        let failed: Vec<_> = status
            .channels
            .iter()
            .filter_map(|channel| {
                let reason = channel.trouble.as_ref()?;
                Some(json!({ "channel": channel.name, "reason": reason,
                    "since-ms": channel.trouble_since_ms }))
            })
            .collect();
        Ok(Reply::Json(
            json!({ "status": "ready", "channels": status.channels.len(), "failed": failed }),
        ))
    })
}

fn figures(admin: Arc<Admin>, _call: Call) -> Answer {
    Box::pin(async move {
        let work = match &admin.fhir {
            Some(fhir) => (fhir.work)().await.ok(),
            None => None,
        };
        Ok(Reply::Text(
            metrics::render(&admin.engine, work.as_deref()),
            "text/plain; version=0.0.4; charset=utf-8",
        ))
    })
}

fn document(_admin: Arc<Admin>, _call: Call) -> Answer {
    Box::pin(async move {
        let entries = all();
        Ok(Reply::Json(openapi::document(
            entries.iter().map(|entry| &entry.route),
        )))
    })
}

fn status(admin: Arc<Admin>, _call: Call) -> Answer {
    Box::pin(async move {
        let mut status = serde_json::to_value(admin.engine.status())
            .map_err(|error| ApiError::failed("json", error.to_string()))?;
        if let (Some(fhir), Some(status)) = (&admin.fhir, status.as_object_mut()) {
            status.insert("fhir".to_owned(), fhir.url.as_str().into());
            match (fhir.work)().await {
                Ok(work) => status.insert("fhir-work".to_owned(), json!(work)),
                Err(trouble) => status.insert("fhir-trouble".to_owned(), trouble.into()),
            };
        }
        Ok(Reply::Json(status))
    })
}

fn reload(admin: Arc<Admin>, _call: Call) -> Answer {
    Box::pin(async move { json(&(admin.reload)().await?) })
}
