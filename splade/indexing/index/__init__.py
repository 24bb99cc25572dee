"""The index that is read, in one part or several."""
