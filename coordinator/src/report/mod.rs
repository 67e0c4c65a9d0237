//! Reports: Markdown, JSON, HTML.
