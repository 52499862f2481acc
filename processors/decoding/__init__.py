"""Decoding of untrusted bytes, always in a child process that may die without harm."""
