"""tau2 telecom: a carrier's back office, a user's phone, and tasks about both."""
