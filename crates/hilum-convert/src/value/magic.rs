//! How documents begin, by their media types.

/// A type with the bytes at a place that all its documents have.
struct Kind {
    /// Media types that begin so.
    types: &'static [&'static str],
    at: usize,
    bytes: &'static [u8],
}

const fn kind(types: &'static [&'static str], at: usize, bytes: &'static [u8]) -> Kind {
    Kind { types, at, bytes }
}

/// Types of documents that hospitals send, with what the registrations at IANA give as their magic
/// numbers. DICOM has a preamble (PS3.10 §7.1).
const KINDS: &[Kind] = &[
    kind(&["application/pdf"], 0, b"%PDF-"),
    kind(&["image/png"], 0, b"\x89PNG\r\n\x1a\n"),
    kind(&["image/jpeg", "image/jpg"], 0, b"\xff\xd8\xff"),
    kind(&["image/gif"], 0, b"GIF8"),
    kind(&["image/tiff"], 0, b"II*\0"),
    kind(&["image/tiff"], 0, b"MM\0*"),
    kind(&["application/rtf", "text/rtf"], 0, b"{\\rtf"),
    kind(&["application/dicom"], 128, b"DICM"),
    kind(ZIPPED, 0, b"PK\x03\x04"),
    kind(
        &["application/msword", "application/vnd.ms-excel"],
        0,
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    ),
];

/// Archives, and documents that are archives.
const ZIPPED: &[&str] = &[
    "application/zip",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.oasis.opendocument.text",
];

/// Bytes before the header of a PDF that readers put up with (ISO 32000-1, annex H.3).
const PDF_BEFORE_MAX: usize = 1024;

/// So many bytes are looked at.
pub(crate) const BEGINNING_BYTES: usize = PDF_BEFORE_MAX;

impl Kind {
    fn begins(&self, bytes: &[u8]) -> bool {
        bytes
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(self.bytes))
    }
}

/// What is wrong with the type that a document was given; `None` where nothing is, or nobody can
/// tell: text has no magic number, and `application/octet-stream` claims nothing.
pub(crate) fn contradiction(declared: Option<&str>, bytes: &[u8]) -> Option<&'static str> {
    let declared = declared?.split(';').next()?.trim().to_ascii_lowercase();
    let found = KINDS.iter().find(|kind| kind.begins(bytes));
    if found.is_some_and(|kind| kind.types.contains(&declared.as_str())) {
        return None;
    }
    let is_known = KINDS
        .iter()
        .any(|kind| kind.types.contains(&declared.as_str()));
    if is_known {
        let start = bytes.get(..PDF_BEFORE_MAX).unwrap_or(bytes);
        let is_late_pdf =
            declared == "application/pdf" && start.windows(5).any(|part| part == b"%PDF-");
        return (!is_late_pdf)
            .then_some("its bytes do not begin as documents of the type that it was given");
    }
    let is_text = declared.starts_with("text/") || declared.ends_with("xml");
    found.filter(|_| is_text || declared.starts_with("image/"))?;
    Some("its bytes begin as documents of another type")
}

#[cfg(test)]
mod tests {
    use super::contradiction;

    #[test]
    fn a_document_begins_as_its_type_says() {
        let check = |declared: &str, bytes: &[u8], wrong: bool| {
            let declared = Some(declared).filter(|text| !text.is_empty());
            assert_eq!(
                contradiction(declared, bytes).is_some(),
                wrong,
                "{declared:?}"
            );
        };
        let pdf = b"%PDF-1.4\n";
        let jpeg = b"\xff\xd8\xff\xe0";
        check("application/pdf", pdf, false);
        check("Application/PDF; version=1", pdf, false);
        check("application/pdf", b"\r\n%PDF-1.4", false);
        check("application/pdf", jpeg, true);
        check("application/pdf", b"", true);
        check("image/jpeg", pdf, true);
        check("text/plain", pdf, true);
        check("text/plain", b"Gute Nacht", false);
        check("application/octet-stream", pdf, false);
        check("", pdf, false);
        check(
            "application/dicom",
            &[&[0; 128][..], b"DICM"].concat(),
            false,
        );
        check("application/zip", b"PK\x03\x04", false);
    }
}
