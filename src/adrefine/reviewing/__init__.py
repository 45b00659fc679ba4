"""Live review: the next photo to look at, ranked anew after every answer, and what still hides."""
