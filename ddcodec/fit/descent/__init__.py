"""The course of a fit: its start, its schedule, its optimisers and its loop."""
