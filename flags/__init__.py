"""Command line flags (define/), what they are turned into (build/), what the scripts do with it (commands/)."""
