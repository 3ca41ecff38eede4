"""What the service meets beyond this machine, in real parts: servers, a pooler, and clients that keep books."""
