"""How defects are found among training photos: the studies behind README.md here."""
