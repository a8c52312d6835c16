"""What differs between two versions of a filesystem that layers make: pure, but for reading what is to be compared."""
