"""How a request is carried: transport, attempt, sessions, multipart bodies, downloads."""
