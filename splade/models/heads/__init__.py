"""From hidden states to the weights of terms; no text, no folder."""
