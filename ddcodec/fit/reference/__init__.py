"""The reference engine, in torch, on any device: what the other engines must equal."""
