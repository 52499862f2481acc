"""The doors: authorise, validate, publish, answer; no logic beyond."""
