"""Decode and write video and pictures."""
