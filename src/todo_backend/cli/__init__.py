"""The console program: docs/spec.md, "Startup & CORS Configuration"."""
