//! The process of a bot.
