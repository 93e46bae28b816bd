"""Routes: one class for each endpoint, which reads its request and computes its answer."""
