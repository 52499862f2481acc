"""What callers meet on a whole stack, fake engines and all."""
