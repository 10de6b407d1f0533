"""From words to an axis: stories, language models, hidden states, the valence axis and its sentiment tests."""
