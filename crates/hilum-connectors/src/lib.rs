//! Sources and destinations, one folder per technology.
