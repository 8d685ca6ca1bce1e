//! Versions, indexes, search and history of FHIR resources, on SQLite or PostgreSQL.
