"""The words: what crosses a door or a topic. Standard library and pydantic only."""
