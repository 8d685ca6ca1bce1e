//! Every socket: TLS, limits, allow-lists, peer identity.
