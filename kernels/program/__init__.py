"""The training program: steps, updates and the loop over them."""
