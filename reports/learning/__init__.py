"""Which of the article's claims a training on digits shows."""
