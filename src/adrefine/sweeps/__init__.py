"""Many experiments on one machine or several: which, in what order, each in a clone of its own."""
