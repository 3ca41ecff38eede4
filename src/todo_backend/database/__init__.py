"""Connection pool, schema and errors of PostgreSQL: docs/spec.md, "Database Schema & Connection"."""
