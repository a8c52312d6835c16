"""What more than one test needs: values made up by hypothesis, a world for operations, and ways for it to end."""
