"""The `.ddc` format, chapter by chapter of FORMAT.md: bytes to integers to samples, and integers back to bytes."""
