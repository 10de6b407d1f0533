"""From EEG to one linear projection: readers, cohorts, features, the projection and maps of the scalp."""
