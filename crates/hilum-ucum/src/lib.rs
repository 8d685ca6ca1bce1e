//! UCUM units with exact decimals.
