//! Rules of life and death: workers and executions.
