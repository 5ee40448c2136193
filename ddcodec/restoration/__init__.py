"""Restore a picture before it is encoded, from this picture alone.

There is no training set, and the truth is never seen.
"""
