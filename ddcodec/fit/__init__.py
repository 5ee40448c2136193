"""The fit of a picture: schedule, engines, freezing to integers, targets."""
