"""From files, groups and overrides to values, by Hydra."""
