"""What a bottle from elsewhere may bring, and what it is granted."""
