"""Where the service may connect to, and its outgoing HTTP."""
