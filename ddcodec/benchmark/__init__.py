"""The rate-distortion benchmark: other codecs, measurements from files, Bjontegaard figures and the report."""
