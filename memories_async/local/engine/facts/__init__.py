"""Measure facts of a film, and say them as a caption."""
