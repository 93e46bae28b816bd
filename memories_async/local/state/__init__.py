"""State of the service: accounts, library, limits, faults, request log, wire format."""
