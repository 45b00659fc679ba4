"""What refinement gained: the initial, the refined and the oracle model, measured on the same photos."""
