"""Every DEFINE_*, one file a concern, and the plain configurations they are read into."""
