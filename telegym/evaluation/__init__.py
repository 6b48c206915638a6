"""Evaluation: how good an agent is, how sure that is, and what a training run has changed."""
