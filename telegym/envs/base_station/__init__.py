"""Base-station maintenance on a simulated radio network."""
