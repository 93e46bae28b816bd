"""Measure facts of a video's shots, and write them as a caption."""
