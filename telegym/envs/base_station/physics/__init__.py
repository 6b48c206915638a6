"""The physics behind the symptoms: pure functions, one module for each subject."""
