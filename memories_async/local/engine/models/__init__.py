"""What models need that others bring: an endpoint and stills to send it; ONNX towers and their vectors."""
