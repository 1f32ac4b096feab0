"""The digits demonstration competition: data, seven model families, ONNX export."""
