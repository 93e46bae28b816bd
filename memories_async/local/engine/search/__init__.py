"""Find the stretches of a film that look like a picture."""
