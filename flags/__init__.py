"""Every command line flag, one file a concern; each file turns its flags into a plain value."""
