//! The ways to reach a fleet.
