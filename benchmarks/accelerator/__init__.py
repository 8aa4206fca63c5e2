"""One script for the day a card is there: what to measure, in the order of its worth, stopped and continued at any time."""
