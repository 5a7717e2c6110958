"""The reading core: one page, one idea, each forward directly above its backward."""
