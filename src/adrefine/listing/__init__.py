"""`adrefine list`: the photos of a version of the dataset, for other programs and tools."""
