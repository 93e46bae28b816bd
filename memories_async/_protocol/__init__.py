"""What is said: calls, replies and how they are read. Pure."""
