"""Reference players of base-station maintenance: the oracle, the blind expert, baselines and cheats."""
