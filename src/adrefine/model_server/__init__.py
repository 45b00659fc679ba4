"""`adrefine serve-model`: a bundle behind HTTP, for programs on the line."""
