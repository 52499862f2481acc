"""The embedded stack: Kafka, PostgreSQL and every process of the platform as children of one supervisor."""
