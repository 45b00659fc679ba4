"""A project of one's own beside the installed package: `adrefine init`. dvc.yaml and params.yaml are links to
the repository's, which a built package holds as files."""
