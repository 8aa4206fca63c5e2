"""Evidence about learning: studies of whole runs, trained one after another and kept as small files."""
