"""Image models of anomalib as detectors."""
