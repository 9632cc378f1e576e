"""The compiled core: which modules mypyc compiles, and how (docs/performance.md says what it is for)."""
