"""The lab's report: what a results file holds as a page, as CSV, and in words."""
