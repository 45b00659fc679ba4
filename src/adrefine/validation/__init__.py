"""Checks of the ingested photos with Great Expectations: bad data stops the run and says how to mend it."""
