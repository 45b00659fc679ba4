"""A trained model as one file that other runtimes execute: ONNX, OpenVINO, TorchScript."""
