//! What the parts of an open store share, whichever place keeps it.

use std::sync::{Arc, PoisonError, RwLock};

use crate::catalog::Catalog;
use crate::config::StoreConfig;
use crate::cursor::Seal;
use crate::id::{ParamKind, ResourceType};
use crate::normal::Tokens;
use crate::search::Context;

/// The kinds of parameters at the numbers they are stored as.
pub(crate) const KINDS: [ParamKind; 8] = [
    ParamKind::Number,
    ParamKind::Date,
    ParamKind::String,
    ParamKind::Token,
    ParamKind::Reference,
    ParamKind::Composite,
    ParamKind::Quantity,
    ParamKind::Uri,
];

/// What the parts of an open store share.
pub(crate) struct Shared {
    /// The place for people: a file, or an address without user and password.
    pub(crate) name: Arc<str>,
    pub(crate) config: StoreConfig,
    pub(crate) tokens: Tokens,
    pub(crate) seal: Seal,
    catalog: RwLock<Arc<Catalog>>,
}

impl Shared {
    pub(crate) fn new(name: Arc<str>, config: StoreConfig, tokens: Tokens, seal: Seal) -> Self {
        Self {
            name,
            config,
            tokens,
            seal,
            catalog: RwLock::default(),
        }
    }

    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        self.catalog
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set_catalog(&self, catalog: Catalog) {
        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(catalog);
    }

    pub(crate) fn context(&self) -> Context {
        Context {
            catalog: self.catalog(),
            tokens: self.tokens,
            limits: self.config.limits,
        }
    }

    pub(crate) fn token(&self, of: ResourceType, id: &str) -> i64 {
        self.tokens.resource(self.catalog().type_name(of), id)
    }
}
