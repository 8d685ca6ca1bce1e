//! Several programs on one store: a database may be written by more than one, a file never is.

use std::time::Duration;

use crate::error::StoreError;
use crate::store::{Backend, Store};

impl Store {
    /// Other programs may write this store as well. Where they may not, what only one of them may do
    /// is this one's.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(&*self.inner, Backend::Postgres(_))
    }

    /// Takes the lease of a work for a time, or keeps it; `None` if another program has it. The answer
    /// is the number of the tenure: another one than before if another node had it meanwhile. `node`
    /// tells nodes apart, also over their restarts.
    ///
    /// # Errors
    /// As the place fails; then it is not known who has it.
    pub async fn lease(
        &self,
        work: &'static str,
        node: i64,
        time: Duration,
    ) -> Result<Option<u64>, StoreError> {
        match &*self.inner {
            Backend::Sqlite(_) => Ok(Some(1)),
            Backend::Postgres(at) => at.lease(work, node, time).await,
        }
    }

    /// Gives a lease back before its time, if this program has it.
    ///
    /// # Errors
    /// As the place fails.
    pub async fn release(&self, work: &'static str) -> Result<(), StoreError> {
        match &*self.inner {
            Backend::Sqlite(_) => Ok(()),
            Backend::Postgres(at) => at.release(work).await,
        }
    }

    /// Counts the changes of what makes events ([`Watched`](crate::Watched)) by all programs; always
    /// 0 where there is only one.
    ///
    /// # Errors
    /// As the place fails.
    pub async fn watched(&self) -> Result<u64, StoreError> {
        match &*self.inner {
            Backend::Sqlite(_) => Ok(0),
            Backend::Postgres(at) => at.watched().await,
        }
    }

    /// Notes for all programs up to which event topics were told; what is known already stays.
    ///
    /// # Errors
    /// As the place fails.
    pub async fn set_told(&self, told: Vec<(String, u64)>) -> Result<(), StoreError> {
        match &*self.inner {
            Backend::Sqlite(_) => Ok(()),
            Backend::Postgres(at) => at.set_told(told).await,
        }
    }

    /// Up to which event a topic was told, by any program; always 0 where there is only one.
    ///
    /// # Errors
    /// As the place fails.
    pub async fn told(&self, topic: &str) -> Result<u64, StoreError> {
        match &*self.inner {
            Backend::Sqlite(_) => Ok(0),
            Backend::Postgres(at) => at.told(topic).await,
        }
    }

    /// The number of the row of the outbox behind which there is something that was not told.
    ///
    /// # Errors
    /// As the place fails.
    pub async fn untold(&self) -> Result<i64, StoreError> {
        match &*self.inner {
            Backend::Sqlite(_) => Ok(0),
            Backend::Postgres(at) => at.untold().await,
        }
    }
}
