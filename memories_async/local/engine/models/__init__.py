"""What engines with a model need: an HTTP endpoint and stills to send it; ONNX models and their vectors."""
