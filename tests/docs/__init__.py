"""The documentation: its links lead somewhere, its commands exist, its generated parts are fresh."""
