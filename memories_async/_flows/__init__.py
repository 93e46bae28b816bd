"""Several calls as one: caption and wait, add and wait, search a file."""
