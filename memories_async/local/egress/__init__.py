"""Outgoing HTTP of the service, and the hosts that it may connect to."""
