"""Models as ONNX graphs: written by ``splade.export target=onnx``, proven, and encoded with by onnxruntime.

`folder` reads what was written, `encoder` encodes with it, `proof` compares it with the model that it was made of,
`target` writes it. None loads torch but `target`, when it writes.
"""
