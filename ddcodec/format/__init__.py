"""The format of `.ddc` files, chapter by chapter of FORMAT.md: bytes to integers to samples, and back to bytes."""
