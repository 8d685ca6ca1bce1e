//! Elements that the engine itself writes, looked up once.

use std::sync::OnceLock;

use hilum_fhir::definitions::{Child, Definitions, ElementId, TypeId};

/// Elements of Bundle and Identifier, and types.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) bundle: TypeId,
    pub(super) bundle_type: Child,
    pub(super) meta: Child,
    pub(super) meta_extension: Child,
    pub(super) request_extension: Child,
    pub(super) extension_url: Child,
    pub(super) extension_string: Child,
    pub(super) entry: Child,
    pub(super) full_url: Child,
    pub(super) resource: Child,
    pub(super) request: Child,
    pub(super) method: Child,
    pub(super) url: Child,
    pub(super) if_none_exist: Child,
    pub(super) identifier: TypeId,
    pub(super) system: Child,
    pub(super) value: Child,
    pub(super) kind: Child,
    pub(super) coding: Child,
    pub(super) code: Child,
    pub(super) location: TypeId,
    pub(super) organization: TypeId,
    pub(super) period: TypeId,
    pub(super) contact_point: TypeId,
    pub(super) address: TypeId,
    pub(super) ratio: TypeId,
    pub(super) timing_repeat: ElementId,
    pub(super) binary: TypeId,
    pub(super) binary_content: Child,
    pub(super) binary_data: Child,
    pub(super) document: TypeId,
    pub(super) document_status: Child,
    pub(super) document_content: Child,
    pub(super) attachment: Child,
    pub(super) attachment_type: Child,
    pub(super) attachment_data: Child,
    pub(super) attachment_url: Child,
    pub(super) attachment_size: Child,
    pub(super) attachment_hash: Child,
    pub(super) patient_active: Child,
    pub(super) observation: TypeId,
    pub(super) has_member: Child,
    pub(super) reference_text: Child,
}

/// The elements, found at the first call.
pub(super) fn names() -> &'static Names {
    static NAMES: OnceLock<Names> = OnceLock::new();
    NAMES.get_or_init(find)
}

#[expect(clippy::expect_used, reason = "the tables of R4 have these elements")]
fn find() -> Names {
    let tables = Definitions::r4();
    let ty = |name: &str| tables.type_named(name).expect("a type of R4");
    let root = |ty: TypeId| tables.type_def(ty).root;
    let below = |scope, name: &str| tables.child(scope, name).expect("an element of R4");
    let bundle = ty("Bundle");
    let entry = below(root(bundle), "entry");
    let request = below(entry.scope, "request");
    let meta = below(root(bundle), "meta");
    let extension = below(root(meta.ty), "extension");
    let identifier = ty("Identifier");
    let kind = below(root(identifier), "type");
    let coding = below(root(kind.ty), "coding");
    let binary = ty("Binary");
    let document = ty("DocumentReference");
    let content = below(root(document), "content");
    let attachment = below(content.scope, "attachment");
    let observation = ty("Observation");
    let has_member = below(root(observation), "hasMember");
    Names {
        bundle,
        bundle_type: below(root(bundle), "type"),
        meta,
        meta_extension: extension,
        request_extension: below(request.scope, "extension"),
        extension_url: below(root(extension.ty), "url"),
        extension_string: below(root(extension.ty), "valueString"),
        entry,
        full_url: below(entry.scope, "fullUrl"),
        resource: below(entry.scope, "resource"),
        request,
        method: below(request.scope, "method"),
        url: below(request.scope, "url"),
        if_none_exist: below(request.scope, "ifNoneExist"),
        identifier,
        system: below(root(identifier), "system"),
        value: below(root(identifier), "value"),
        kind,
        coding,
        code: below(root(coding.ty), "code"),
        location: ty("Location"),
        organization: ty("Organization"),
        period: ty("Period"),
        contact_point: ty("ContactPoint"),
        address: ty("Address"),
        ratio: ty("Ratio"),
        timing_repeat: below(root(ty("Timing")), "repeat").element,
        binary,
        binary_content: below(root(binary), "contentType"),
        binary_data: below(root(binary), "data"),
        document,
        document_status: below(root(document), "status"),
        document_content: content,
        attachment,
        attachment_type: below(attachment.scope, "contentType"),
        attachment_data: below(attachment.scope, "data"),
        attachment_url: below(attachment.scope, "url"),
        attachment_size: below(attachment.scope, "size"),
        attachment_hash: below(attachment.scope, "hash"),
        patient_active: below(root(ty("Patient")), "active"),
        observation,
        has_member,
        reference_text: below(has_member.scope, "reference"),
    }
}
