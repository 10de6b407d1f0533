"""From words to an axis: stories, language models, hidden states, the axis and its sentiment tests."""
