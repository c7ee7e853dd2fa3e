"""What only a browser can tell of a page."""
