"""Computer vision: describe pictures by numbers, and index whole films."""
