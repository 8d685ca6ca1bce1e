//! One simulated disk that fails, tears and forgets.
