"""`adrefine review --open`: the live review as a page in a browser, for one machine, without a network."""
