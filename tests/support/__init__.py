"""What every kind of test makes its subjects with: objects, wheels, projects, shells."""
