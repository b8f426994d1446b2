"""ONNX graphs in float64: what a file says, computed with torch in double precision."""
