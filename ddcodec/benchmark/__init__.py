"""The benchmarks: other codecs, rows measured from files, Bjontegaard figures, charts and the report."""
