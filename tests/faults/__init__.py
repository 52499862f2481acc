"""The fault suite: `make faults` breaks a real stack on purpose and judges what it kept."""
