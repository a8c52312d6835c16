"""What belongs to a bottle besides its image: workspace, volumes, state; what of it travels, and as what."""
