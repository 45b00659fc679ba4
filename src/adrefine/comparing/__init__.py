"""Versions of a cleaned dataset side by side: which photos they keep, why, and what that gave."""
