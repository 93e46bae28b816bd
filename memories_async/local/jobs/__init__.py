"""Work beside the requests: engine pool, captions, ingest, callbacks."""
