"""Update rules: a file for each, with its record, its checked function and its optimizer."""
