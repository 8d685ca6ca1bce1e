//! Critical results: which wait to be acknowledged, and how long each took.

use std::sync::Arc;

use hilum_access::{Parameter, Permission, Route};
use hilum_component::BoxFuture;
use hilum_engine::OnlyOpen;
use serde_json::json;

use super::messages::journal;
use super::{Admin, ApiError, Call, Entry, Reply};

/// Rows of an answer where the caller does not say.
const LIMIT: usize = 100;
/// Rows of an answer at most.
const LIMIT_MAX: usize = 10_000;

pub(super) fn routes() -> Vec<Entry> {
    vec![Entry {
        route: Route {
            query: &[
                Parameter {
                    name: "open",
                    about: "`true`: only those that are not acknowledged",
                },
                Parameter {
                    name: "limit",
                    about: "At most so many, 100 where it is not set",
                },
            ],
            ..Route::get(
                "critical-results",
                "/api/v1/critical",
                Permission::Find,
                "Deliveries of critical results, newest first, with the time that each took until \
                 it was acknowledged",
            )
        },
        handle: critical,
    }]
}

fn critical(admin: Arc<Admin>, call: Call) -> BoxFuture<'static, Result<Reply, ApiError>> {
    Box::pin(async move {
        let open = match call.query("open") {
            None | Some("false") => OnlyOpen::No,
            Some("true") => OnlyOpen::Yes,
            Some(_) => return Err(ApiError::bad("open", "`open` is true or false")),
        };
        let limit = match call.query("limit") {
            None => LIMIT,
            Some(text) => match text.parse() {
                Ok(limit @ 1..=LIMIT_MAX) => limit,
                _ => {
                    let text = format!("`limit` is a number from 1 to {LIMIT_MAX}");
                    return Err(ApiError::bad("limit", text));
                }
            },
        };
        let found = admin.engine.critical(open, limit).map_err(journal)?;
        Ok(Reply::Json(json!({ "critical": found })))
    })
}
