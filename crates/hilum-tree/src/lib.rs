//! XML, JSON and delimited text as editable trees.
