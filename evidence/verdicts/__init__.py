"""What became of the hypotheses and claims, computed from the rows."""
