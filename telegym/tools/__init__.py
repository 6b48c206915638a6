"""Tools, one module for each toolkit."""
