"""Agents: who acts, and who learns.

`base` says what an agent is and makes one by name; `rollout` lets it play many episodes at once; `users` are the people
an agent talks to; `training` makes a model better. Only modules that need torch import it.
"""
