"""How well the product reads: pages with known truth through its own steps, scored."""
