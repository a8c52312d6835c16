"""The sealed file of `export` and `import` (docs/BUNDLE.md)."""
