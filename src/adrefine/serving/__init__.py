"""A product kept alive: new photos taken in, new models promoted or refused, and the server that shows it."""
