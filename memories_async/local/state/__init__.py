"""What the service knows: accounts, library, limits, faults, request log, wire format."""
