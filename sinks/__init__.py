"""Where work meets the world: the projector, the indexes, the blob store."""
