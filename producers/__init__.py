"""What puts records on topics, and what the topics are."""
