"""The course's modules in plain NumPy: the formulas as the assignments ask for them."""
