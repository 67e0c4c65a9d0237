//! How findings are stored: a versioned codec.
