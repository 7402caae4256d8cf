"""A landing page in front of asv's web site: where fastnn stands, how it got there, what it lost.

``python -m dashboard build`` in the folder ``asv_benchmarks`` writes the site from the results
there are, ``python -m dashboard serve`` shows it; `reading_the_dashboard.md` explains the page.
"""
