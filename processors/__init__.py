"""What turns a record into records."""
