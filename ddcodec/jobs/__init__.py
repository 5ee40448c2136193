"""Many files: which they are, where results go, and what works on them."""
