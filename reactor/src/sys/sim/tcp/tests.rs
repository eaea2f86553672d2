//! Two ends of a connection that exchange segments.
