//! How a finding is recognised in the next scan.
