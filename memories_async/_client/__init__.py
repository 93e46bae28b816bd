"""What both clients share: settings, the run of one call, the methods, the loop thread."""
