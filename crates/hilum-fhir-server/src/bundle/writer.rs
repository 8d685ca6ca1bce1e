//! Writing a Bundle around resources that are bytes already.

use hilum_fhir::json::write_string;

use crate::request::encode;

/// A Bundle in the making, as compact JSON.
pub(crate) struct Bundle {
    kind: &'static str,
    pub(crate) total: Option<u64>,
    /// Members that stand before the type, as JSON.
    pub(crate) lead: Vec<u8>,
    links: Vec<(&'static str, String)>,
    entries: Vec<u8>,
    count: usize,
}

/// The URL of a link: a path with parameters.
pub(crate) fn link_url(path: &str, parameters: &[(String, String)]) -> String {
    let mut url = path.to_owned();
    for (at, (name, value)) in parameters.iter().enumerate() {
        url.push(if at == 0 { '?' } else { '&' });
        encode(name, &mut url);
        url.push('=');
        encode(value, &mut url);
    }
    url
}

impl Bundle {
    pub(crate) const fn new(kind: &'static str) -> Self {
        Self {
            kind,
            total: None,
            lead: Vec::new(),
            links: Vec::new(),
            entries: Vec::new(),
            count: 0,
        }
    }

    pub(crate) fn link(&mut self, relation: &'static str, url: String) {
        self.links.push((relation, url));
    }

    pub(crate) fn entry(&mut self, write: impl FnOnce(&mut EntryWriter<'_>)) {
        if self.count > 0 {
            self.entries.push(b',');
        }
        self.count += 1;
        self.entries.push(b'{');
        write(&mut EntryWriter {
            out: &mut self.entries,
            first: true,
        });
        self.entries.push(b'}');
    }

    /// The Bundle as compact JSON.
    pub(crate) fn finish(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.entries.len() + 256 + self.links.len() * 200);
        out.extend_from_slice(b"{\"resourceType\":\"Bundle\",");
        if !self.lead.is_empty() {
            out.extend_from_slice(&self.lead);
            out.push(b',');
        }
        out.extend_from_slice(b"\"type\":\"");
        out.extend_from_slice(self.kind.as_bytes());
        out.push(b'"');
        if let Some(total) = self.total {
            out.extend_from_slice(format!(",\"total\":{}", total.min(i32::MAX as u64)).as_bytes());
        }
        for (at, (relation, url)) in self.links.iter().enumerate() {
            out.extend_from_slice(if at == 0 { b",\"link\":[" } else { b"," });
            out.extend_from_slice(b"{\"relation\":");
            write_string(relation, &mut out);
            out.extend_from_slice(b",\"url\":");
            write_string(url, &mut out);
            out.push(b'}');
        }
        if !self.links.is_empty() {
            out.push(b']');
        }
        if self.count > 0 {
            out.extend_from_slice(b",\"entry\":[");
            out.extend_from_slice(&self.entries);
            out.push(b']');
        }
        out.push(b'}');
        out
    }
}

/// One entry in the making; its parts come in the order of the standard.
pub(crate) struct EntryWriter<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl EntryWriter<'_> {
    fn key(&mut self, name: &str) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    pub(crate) fn full_url(&mut self, url: &str) {
        self.key("fullUrl");
        write_string(url, self.out);
    }

    pub(crate) fn resource(&mut self, json: &[u8]) {
        self.key("resource");
        self.out.extend_from_slice(json);
    }

    pub(crate) fn search_mode(&mut self, mode: &str) {
        self.key("search");
        self.strings(&[("mode", mode)]);
    }

    pub(crate) fn request(&mut self, method: &str, url: &str) {
        self.key("request");
        self.strings(&[("method", method), ("url", url)]);
    }

    /// The answer to a request, with an outcome as JSON if there is one.
    pub(crate) fn response(&mut self, members: &[(&str, &str)], outcome: Option<&[u8]>) {
        self.key("response");
        self.strings(members);
        if let Some(outcome) = outcome {
            self.out.pop();
            self.out.extend_from_slice(b",\"outcome\":");
            self.out.extend_from_slice(outcome);
            self.out.push(b'}');
        }
    }

    fn strings(&mut self, members: &[(&str, &str)]) {
        self.out.push(b'{');
        for (at, (name, value)) in members.iter().enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            write_string(name, self.out);
            self.out.push(b':');
            write_string(value, self.out);
        }
        self.out.push(b'}');
    }
}
