//! The cached view that dashboards read.
