//! Every verb.
