"""Everything that runs the platform somewhere: for now the embedded stack."""
