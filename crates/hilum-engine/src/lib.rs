//! Runs plans: intake, order, lanes, retry, dead letters, holds, alerts.
