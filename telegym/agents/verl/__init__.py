"""Training with verl instead of TRL: episodes as agent loops, tasks as data, failures kept out of groups.

Made for verl 0.9.1. Only `loop` and `advantage` import verl, and only verl imports them.
"""
