"""From EEG to one linear projection: cohorts, features, sources, read-out and topography."""
