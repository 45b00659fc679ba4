"""A bundle: a trained model with all that turns a photo into a score, in one folder that stands alone."""
