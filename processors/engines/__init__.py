"""Models, one file per technology; heavy libraries are imported inside functions."""
