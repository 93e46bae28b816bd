"""Search a video for a picture, as its prompt asks."""
