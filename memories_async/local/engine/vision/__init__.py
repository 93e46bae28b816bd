"""Describe pictures and whole films by numbers."""
