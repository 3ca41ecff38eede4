"""The todo backend for Next.js, Better Auth and Neon."""

__version__ = "0.2.0"
