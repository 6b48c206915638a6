"""The rules of the game: messages, tools, worlds, tasks, episodes, trajectories, scores. No telecom, no torch."""
