"""The book's ``common`` (Korean edition), written again in plain NumPy for the tests.

Formulas, names and effects are those of the book's repository; the tests run the same code on this
package and on the drop-in and compare.
"""
