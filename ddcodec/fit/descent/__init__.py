"""The course of a fit: where it starts, how its steps go on, when it ends."""
