"""A project of one's own beside the installed package: `adrefine init`. graph.yaml and settings.yaml are
links to this repository's dvc.yaml and params.yaml; a built package holds them as files."""
