"""Rules across the file: what one setting says about another, one module a subject."""
