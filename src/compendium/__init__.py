"""The book's machinery: executes the notebooks, records their numbers, draws their figures, renders. Not in the wheel."""
