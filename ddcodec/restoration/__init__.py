"""Restoration before encoding: one picture in, a better one out, with no training set and without ever seeing the
truth.
"""
