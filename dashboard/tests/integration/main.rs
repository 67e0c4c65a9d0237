//! The dashboard's routes over an embedded store, as clients and browsers meet them.

mod support;

mod api;

mod errors;

mod pages;
