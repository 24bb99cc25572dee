"""From texts to token ids, how often tokens occur, and which are hidden."""
