"""From token ids to one vector a text."""
