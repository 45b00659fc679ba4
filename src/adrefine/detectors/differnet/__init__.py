"""DifferNet (Rudolph et al. 2021; docs/methods.md 1): a normalizing flow on frozen multi-scale features."""
