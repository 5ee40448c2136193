"""Work on many files: their names, their results, and the processes and clusters that do it."""
