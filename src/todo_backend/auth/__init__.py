"""From the bearer header to the user: docs/spec.md, "Authentication & JWT Verification"."""
