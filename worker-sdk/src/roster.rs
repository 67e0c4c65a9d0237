//! The classic bots, as a preset.
