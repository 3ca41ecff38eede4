"""uvicorn with timeouts, limits and signal handling: docs/spec.md, "Startup & CORS Configuration"."""
