"""How requests are handled: listener, request pipeline, upload stream, fault responses."""
