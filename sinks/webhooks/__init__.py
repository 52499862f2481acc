"""Webhooks: what callers are told of at addresses of their own."""
