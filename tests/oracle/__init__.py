"""What judges `bottle commit`: random work in a real bottle, and its tree beside Docker's own commit of it."""
