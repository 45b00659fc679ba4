"""A bundle in use: photos in, scores and maps out, without the project that made it."""
