"""Features of the frozen backbone: computed once per image, view and scale, read by every later stage."""
