"""Video and pictures: decode a film, decode a picture, render a film for tests and demonstrations."""
