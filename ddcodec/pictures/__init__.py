"""Picture files in and out: the only door to Pillow and imagecodecs."""
