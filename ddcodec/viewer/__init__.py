"""A page to look at a `.ddc` file: the picture, its original, and where the bytes went."""
