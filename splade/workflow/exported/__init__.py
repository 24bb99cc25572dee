"""Models that were exported, in the place of the model of a command. Starts without torch."""
