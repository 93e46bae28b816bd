"""How a request is received: listener, upload stream, pipeline, fault responses."""
