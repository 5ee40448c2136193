"""The decoder in C (`ddc.h`): how it is built, and how Python calls it."""
