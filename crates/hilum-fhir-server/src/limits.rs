//! Every limit of the server, with its name and its default.

use std::time::Duration;

/// What one server takes on; beyond it a request is refused, and the answer names the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the head of a request: its line and all headers.
    pub head_bytes_max: usize,
    /// Bytes of a request's URL.
    pub url_bytes_max: usize,
    /// Bytes of a request's body, unpacked.
    pub body_bytes_max: usize,
    /// Bytes of all bodies that are read or worked on at once; one more waits.
    pub bodies_bytes_max: usize,
    /// How long a client may take to send the head of a request.
    pub head_within: Duration,
    /// How long a client may take to send the body of a request.
    pub body_within: Duration,
    /// Entries of a batch or a transaction.
    pub bundle_entries_max: usize,
    /// How long the searches of one transaction may take together: others wait for them to write.
    pub transaction_searches_within: Duration,
    /// Resources of a page that a client gets who does not ask for a number.
    pub page_default: usize,
    /// Resources of a page, however many are asked for.
    pub page_max: usize,
    /// Resources that one page includes.
    pub included_max: usize,
    /// Resources that `$everything` and `$document` gather.
    pub gathered_max: usize,
    /// Parameters of one search.
    pub search_parameters_max: usize,
    /// Values of one OR list.
    pub search_values_max: usize,
    /// Lists that one search names (`_list`).
    pub search_lists_max: usize,
    /// Keys that one search is sorted by.
    pub sort_keys_max: usize,
    /// Links of one chain, `_has` included.
    pub chain_max: usize,
    /// Search parameters beside those of the standard and of packages.
    pub custom_parameters_max: usize,
    /// Resources that one step of a reindex looks at.
    pub reindex_step: usize,
    /// Tries of a transaction whose conditional references change meanwhile.
    pub tries_max: usize,
    /// Jobs that are kept for one tenant, those that are done included.
    pub jobs_max: usize,
    /// Jobs of one kind that run at once.
    pub jobs_running_max: usize,
    /// How long a job rests after a step, in percent of the time that it worked.
    pub job_rest_percent: u32,
    /// How long a job and its files are kept after its end.
    pub job_kept: Duration,
    /// Resources of one file of an export; the next ones come in another.
    pub export_file_resources_max: u64,
    /// Bytes after which a file of an export ends.
    pub export_file_bytes_max: u64,
    /// Patients that one export is limited to: of a group, or by name.
    pub export_patients_max: usize,
    /// Bytes of a body of lines that is imported, unpacked.
    pub import_bytes_max: u64,
    /// How long the fetching of one source of an import may take.
    pub import_fetch_within: Duration,
    /// How often a source that breaks off is fetched.
    pub import_fetch_tries: u32,
    /// The pause before a source is fetched again; it doubles.
    pub import_fetch_pause: Duration,
    /// Files of one import.
    pub import_inputs_max: usize,
    /// Lines that an import stores in one commit.
    pub import_batch_max: usize,
    /// Lines that cannot be stored, after which an import gives up.
    pub import_errors_max: u64,
    /// Codes that one expansion of a value set gives; more are given in pages.
    pub expansion_codes_max: usize,
    /// Codes that are looked at for one expansion.
    pub expansion_work_max: usize,
    /// Resources that are erased with a patient.
    pub erase_resources_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes_max: 64 * 1024,
            url_bytes_max: 16 * 1024,
            body_bytes_max: 50_000_000,
            bodies_bytes_max: 200_000_000,
            head_within: Duration::from_secs(10),
            body_within: Duration::from_secs(60),
            bundle_entries_max: 20_000,
            transaction_searches_within: Duration::from_secs(5),
            page_default: 50,
            page_max: 1_000,
            included_max: 5_000,
            gathered_max: 20_000,
            search_parameters_max: 200,
            search_values_max: 20_000,
            search_lists_max: 16,
            sort_keys_max: 16,
            chain_max: 6,
            custom_parameters_max: 500,
            reindex_step: 100,
            tries_max: 8,
            jobs_max: 100,
            jobs_running_max: 2,
            job_rest_percent: 50,
            job_kept: Duration::from_secs(24 * 3_600),
            export_file_resources_max: 100_000,
            export_file_bytes_max: 256 << 20,
            export_patients_max: 100_000,
            import_bytes_max: 20_000_000_000,
            import_fetch_within: Duration::from_secs(4 * 3_600),
            import_fetch_tries: 5,
            import_fetch_pause: Duration::from_secs(2),
            import_inputs_max: 1_000,
            import_batch_max: 250,
            import_errors_max: 10_000,
            expansion_codes_max: 10_000,
            expansion_work_max: 10_000_000,
            erase_resources_max: 100_000,
        }
    }
}
