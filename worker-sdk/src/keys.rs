//! Every key name.
