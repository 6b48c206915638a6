"""Supervised stages: rounds of playing and learning, in which what is learnt from is chosen rather than weighed.

- `rejection`: the policy plays each task several times and learns from its best rollouts;
- `dagger`: the policy plays, and learns what the expert would have done in the states it came to;
- `distillation`: the policy plays, and learns the distribution of a teacher at each token it sampled;
- `preferences`: the policy learns to prefer the better of two rollouts of a task (DPO).

`settings` describes them, `playing` says what is played, `trainer` plays and learns in turns, and `stage` runs one of
them as a training run.
"""
