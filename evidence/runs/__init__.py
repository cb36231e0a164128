"""One run of each kind: what is trained or looked for, and what is measured."""
