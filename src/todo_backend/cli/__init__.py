"""The commands of the console program `todo-backend`: docs/spec.md, "Startup & CORS Configuration"."""
