"""Speed, shown: ratios of things run side by side in one run on the same machine."""
