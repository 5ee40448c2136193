"""The freeze: the real numbers of a fit become the integers of a file."""
