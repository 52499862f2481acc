"""The stream port and its adapters: the only rooms that know Kafka consumers."""
