//! The coordinator process: what changed is recomputed.
