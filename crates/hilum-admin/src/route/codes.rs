//! The register of codes that no table has.

use std::sync::Arc;

use hilum_access::{Method, Parameter, Permission, Route};
use hilum_component::BoxFuture;
use hilum_engine::Forget;
use serde_json::json;

use super::messages::journal;
use super::operate::told;
use super::{Admin, ApiError, Call, Entry, Reply};

const CHANNEL: Parameter = Parameter {
    name: "channel",
    about: "Of this channel",
};
const TABLE: Parameter = Parameter {
    name: "table",
    about: "Looked for in this table, as the channel names it",
};

pub(super) fn routes() -> Vec<Entry> {
    vec![
        Entry {
            route: Route {
                query: &[CHANNEL, TABLE],
                ..Route::get(
                    "unmapped-codes",
                    "/api/v1/codes/unmapped",
                    Permission::Find,
                    "Codes that no table has: where from, how often, first and last seen",
                )
            },
            handle: unmapped,
        },
        Entry {
            route: Route {
                name: "forget-unmapped-codes",
                method: Method::Post,
                path: "/api/v1/codes/unmapped/forget",
                permission: Permission::Operate,
                about: "Forgets codes of the register; one of channel, table and code is needed",
                query: &[],
                body: &[
                    CHANNEL,
                    TABLE,
                    Parameter {
                        name: "code",
                        about: "This code",
                    },
                    Parameter {
                        name: "reason",
                        about: "Why, for the record",
                    },
                ],
            },
            handle: forget,
        },
    ]
}

type Answer = BoxFuture<'static, Result<Reply, ApiError>>;

fn unmapped(admin: Arc<Admin>, call: Call) -> Answer {
    Box::pin(async move {
        let mut found = admin
            .engine
            .unmapped(call.query("channel"))
            .map_err(journal)?;
        if let Some(table) = call.query("table") {
            found.retain(|unmapped| unmapped.table == table);
        }
        Ok(Reply::Json(json!({ "unmapped": found })))
    })
}

fn forget(admin: Arc<Admin>, call: Call) -> Answer {
    Box::pin(async move {
        let text = |name| call.text(name).map(str::to_owned);
        let which = Forget {
            channel: text("channel"),
            table: text("table"),
            code: text("code"),
        };
        if which.channel.is_none() && which.table.is_none() && which.code.is_none() {
            return Err(ApiError::bad(
                "body",
                "say which codes: channel, table or code",
            ));
        }
        let reason = call.text("reason").unwrap_or("no reason given");
        let count = admin
            .engine
            .forget_unmapped(&which, reason)
            .await
            .map_err(told)?;
        Ok(Reply::Json(json!({ "forgotten": count })))
    })
}
