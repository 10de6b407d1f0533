"""From features to classifiers: networks, banks of trained ones, and the geometry of what they learn."""
