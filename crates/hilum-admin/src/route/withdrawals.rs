//! Results that their senders take back: where they went, and who does not learn of it.

use std::sync::Arc;

use hilum_access::{Parameter, Permission, Route};
use hilum_component::BoxFuture;
use serde_json::json;

use super::messages::{id, journal};
use super::operate::told;
use super::{Admin, ApiError, Call, Entry, Reply};

/// Rows of an answer where the caller does not say.
const LIMIT: usize = 100;
/// Rows of an answer at most.
const LIMIT_MAX: usize = 10_000;

pub(super) fn routes() -> Vec<Entry> {
    vec![
        Entry {
            route: Route {
                query: &[Parameter {
                    name: "limit",
                    about: "At most so many, 100 where it is not set",
                }],
                ..Route::get(
                    "withdrawals",
                    "/api/v1/withdrawals",
                    Permission::Find,
                    "Messages that withdraw results (OBX-11 = W), newest first, with the destinations \
                     that were sent a result and not its withdrawal",
                )
            },
            handle: withdrawals,
        },
        Entry {
            route: Route::get(
                "withdrawal",
                "/api/v1/withdrawals/{message}",
                Permission::Find,
                "Every delivery of what a message withdraws, newest first, and whether the same system \
                 gets the withdrawal",
            ),
            handle: withdrawal,
        },
    ]
}

fn withdrawals(admin: Arc<Admin>, call: Call) -> BoxFuture<'static, Result<Reply, ApiError>> {
    Box::pin(async move {
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
        let found = admin.engine.withdrawals(limit).map_err(journal)?;
        Ok(Reply::Json(json!({ "withdrawals": found })))
    })
}

fn withdrawal(admin: Arc<Admin>, call: Call) -> BoxFuture<'static, Result<Reply, ApiError>> {
    Box::pin(async move {
        let found = admin.engine.withdrawn(id(&call)?).await.map_err(told)?;
        Ok(Reply::Json(json!(found)))
    })
}
