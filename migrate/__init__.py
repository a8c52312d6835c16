"""Move a bottle to another Docker host over SSH: plan, stage, verify, hand off."""
