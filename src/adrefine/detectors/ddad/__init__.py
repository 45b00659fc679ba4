"""DDAD: a diffusion model makes the photo anew, and what comes out differently is odd."""
