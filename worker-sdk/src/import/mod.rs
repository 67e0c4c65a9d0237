//! Other tools' output becomes findings.
