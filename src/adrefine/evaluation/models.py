"""The models that are compared, in their order, and what a reader calls them."""

MODELS = {
    "initial": "before cleaning",
    "refined": "after cleaning",
    "taught": "taught by your answers",
    "oracle": "ceiling",
}
COMPARED = ("initial", "refined", "oracle")  # one detector, trained on three sets
