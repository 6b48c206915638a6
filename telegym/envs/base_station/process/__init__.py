"""Process: tickets, changes, field work, third parties. Records on a network, and what becomes of them in time."""
