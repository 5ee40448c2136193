"""What a fit minimises: the distortion of the picture and the rate of the file."""
