"""The models that are compared, in their order, and what a reader calls them."""

MODELS = {"initial": "before cleaning", "refined": "after cleaning", "oracle": "ceiling"}
