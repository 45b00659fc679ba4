"""Parts of a photo: what counts of it, and where the part lies."""
