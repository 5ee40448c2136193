"""From a fit's real numbers to the integers of a file."""
