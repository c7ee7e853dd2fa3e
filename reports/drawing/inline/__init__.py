"""Pictures for a page: small SVGs of lines and letters, which take their colours from the page."""
