"""The tools of base-station maintenance: 60, in profiles of different size."""
