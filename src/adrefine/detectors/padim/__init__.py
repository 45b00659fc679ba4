"""PaDiM (Defard et al. 2020; arXiv 2011.08785): a Gaussian at every place of the photo, in closed form."""
