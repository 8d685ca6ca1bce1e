//! What was accepted and every attempt since, searchable.
