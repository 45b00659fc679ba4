"""adrefine: find the defects hidden among good training images, version every cleaned set, prove the gain."""

__version__ = "0.1.0"
