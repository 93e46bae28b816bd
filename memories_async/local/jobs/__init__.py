"""What goes on beside requests: engine work, captions, ingest, callbacks."""
