//! A folder of YAML and tables, checked into a plan.
