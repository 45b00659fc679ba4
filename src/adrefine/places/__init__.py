"""Maps of the frozen backbone, and what is usual at every place of them."""
