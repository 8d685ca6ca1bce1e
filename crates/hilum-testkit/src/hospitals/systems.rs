//! The systems that receive what a generated site delivers.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;

use super::Peers;
use crate::http::HttpReceiver;
use crate::messages::field;
use crate::mllp::{Behaviour, Keep, Receiver};

/// Two records and two archives that accept everything.
#[derive(Debug)]
pub struct Systems {
    records: [Receiver; 2],
    archives: [HttpReceiver; 2],
}

impl Systems {
    /// Listens on ports that the system chooses.
    pub async fn start() -> io::Result<Self> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let record = || Receiver::start_at(any, Behaviour::default(), Keep::Ids);
        Ok(Self {
            records: [record().await?, record().await?],
            archives: [HttpReceiver::start().await?, HttpReceiver::start().await?],
        })
    }

    /// Where they listen.
    #[must_use]
    pub fn peers(&self) -> Peers {
        Peers {
            records: self.records.each_ref().map(Receiver::address),
            archives: self.archives.each_ref().map(HttpReceiver::address),
        }
    }

    /// The control ids of what came.
    #[must_use]
    pub fn seen(&self) -> HashSet<String> {
        let archived = self.archives.iter().flat_map(|archive| {
            let received = archive.received().into_iter();
            received.map(|request| String::from_utf8_lossy(field(&request.body, 10)).into_owned())
        });
        let recorded = self.records.iter().flat_map(Receiver::control_ids);
        recorded.chain(archived).collect()
    }
}
