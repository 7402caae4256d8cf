"""What all other packages may use, and what uses none of them."""
