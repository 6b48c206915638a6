"""The reasonableness of every tool call, by what the simulator knows and by what could be known."""
